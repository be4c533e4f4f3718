#include "data/tokenizer_vocab.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace lathe {

TokenTable::TokenTable(std::vector<std::pair<std::string, int32_t>> tokens) : tokens_(std::move(tokens)) {
  const size_t size = std::bit_ceil(std::max<size_t>(tokens_.size() * 2, 16));
  slots_.assign(size, 0);
  mask_ = size - 1;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const uint64_t hash = std::hash<std::string_view>{}(tokens_[i].first);
    // Of two entries of one text the later counts, as in a Python dict.
    slots_[slot_of(tokens_[i].first)] = hash >> 32 << 32 | (i + 1);
  }
}

size_t TokenTable::slot_of(std::string_view token) const {
  const uint64_t hash = std::hash<std::string_view>{}(token);
  size_t at = hash & mask_;
  while (slots_[at] != 0) {
    if (slots_[at] >> 32 == hash >> 32 && tokens_[(slots_[at] & UINT32_MAX) - 1].first == token) break;
    at = (at + 1) & mask_;
  }
  return at;
}

std::optional<int32_t> TokenTable::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const uint64_t slot = slots_[slot_of(token)];
  if (slot == 0) return std::nullopt;
  return tokens_[(slot & UINT32_MAX) - 1].second;
}

}  // namespace lathe
