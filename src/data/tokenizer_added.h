#pragma once
// Finds added tokens in text: leftmost first, the longest of those that begin there.
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

class AddedTokenFinder {
 public:
  struct Match {
    size_t begin, end;
    int32_t id;
  };
  /// May refuse a match, given its bytes and id; a shorter one at the same place is tried next.
  using Allowed = std::function<bool(size_t begin, size_t end, int32_t id)>;

  void insert(std::string_view content, int32_t id);  ///< empty contents are never found
  [[nodiscard]] bool empty() const { return nodes_.size() == 1; }
  /// The first match at or behind from. @param allowed may be empty: all are.
  [[nodiscard]] std::optional<Match> find(std::string_view text, size_t from, const Allowed& allowed) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, uint32_t>> children;
    int32_t id = -1;
  };
  [[nodiscard]] uint32_t child(uint32_t node, unsigned char byte) const;  ///< 0: none
  [[nodiscard]] std::optional<Match> match_at(std::string_view text, size_t begin, const Allowed& allowed) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> is_first_{};
  int num_first_ = 0;
  unsigned char only_first_ = 0;  ///< when there is one: looked for by memchr
};

}  // namespace lathe
