#include "data/tokenizer_added.h"

#include <cstring>

namespace lathe {

uint32_t AddedTokenFinder::child(uint32_t node, unsigned char byte) const {
  for (const auto& [label, target] : nodes_[node].children) {
    if (label == byte) return target;
  }
  return 0;
}

void AddedTokenFinder::insert(std::string_view content, int32_t id) {
  if (content.empty()) return;
  const auto first = static_cast<unsigned char>(content[0]);
  if (!is_first_[first]) {
    is_first_[first] = true;
    only_first_ = first;
    ++num_first_;
  }
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_[node].children.emplace_back(byte, next);
      nodes_.emplace_back();
    }
    node = next;
  }
  nodes_[node].id = id;
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::match_at(std::string_view text, size_t begin,
                                                                  const Allowed& allowed) const {
  std::optional<Match> longest;
  uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    node = child(node, static_cast<unsigned char>(text[at]));
    if (node == 0) break;
    const int32_t id = nodes_[node].id;
    if (id >= 0 && (!allowed || allowed(begin, at + 1, id))) longest = Match{begin, at + 1, id};
  }
  return longest;
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::find(std::string_view text, size_t from,
                                                              const Allowed& allowed) const {
  if (num_first_ == 0) return std::nullopt;
  for (size_t at = from; at < text.size(); ++at) {
    if (num_first_ == 1) {
      const void* found = std::memchr(text.data() + at, only_first_, text.size() - at);
      if (found == nullptr) return std::nullopt;
      at = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    } else if (!is_first_[static_cast<unsigned char>(text[at])]) {
      continue;
    }
    if (auto match = match_at(text, at, allowed)) return match;
  }
  return std::nullopt;
}

}  // namespace lathe
