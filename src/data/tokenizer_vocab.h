#pragma once
// Token texts and their ids, both ways.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

/// A hash table of texts that lives on the texts given to it. Immutable; safe for several threads.
class TokenTable {
 public:
  TokenTable() = default;
  explicit TokenTable(std::vector<std::pair<std::string, int32_t>> tokens);
  TokenTable(TokenTable&&) = default;
  TokenTable& operator=(TokenTable&&) = default;

  [[nodiscard]] std::optional<int32_t> find(std::string_view token) const;
  [[nodiscard]] const std::vector<std::pair<std::string, int32_t>>& tokens() const { return tokens_; }

 private:
  [[nodiscard]] size_t slot_of(std::string_view token) const;

  std::vector<std::pair<std::string, int32_t>> tokens_;
  std::vector<uint64_t> slots_;  ///< high half: upper bits of the hash; low half: index into tokens_ + 1; 0: free
  uint64_t mask_ = 0;
};

}  // namespace lathe
