// Text to ids: added tokens out of the text, the rest normalised, split and merged.
#include <fmt/core.h>
#include <lathe/error.h>

#include <algorithm>

#include "data/tokenizer_impl.h"

namespace lathe {
namespace {

/// Offset in the text before NFC of a byte after it.
size_t original_offset(const std::vector<unicode::Alignment>& alignment, size_t normalised) {
  auto found = std::upper_bound(alignment.begin(), alignment.end(), normalised,
                                [](size_t value, const unicode::Alignment& entry) { return value < entry.normalised; });
  --found;
  return found->changed ? found->offset : found->offset + (normalised - found->normalised);
}

}  // namespace

void require_utf8(std::string_view text) {
  const size_t good = unicode::valid_utf8_prefix(text);
  if (good == text.size()) return;
  throw Error(
      ErrorKind::kData,
      fmt::format("text is not UTF-8 at byte offset {} (0x{:02X})", good, static_cast<unsigned char>(text[good])), {},
      "save the file as UTF-8");
}

void Tokenizer::Impl::encode(std::string_view text, bool recognise, const AddedTokenFinder::Allowed& allowed,
                             std::vector<int32_t>& ids, std::vector<size_t>* starts) const {
  size_t at = 0;
  while (recognise) {
    const auto match = raw_finder_.find(text, at, allowed);
    if (!match) break;
    encode_stretch(text.substr(at, match->begin - at), at, recognise, allowed, ids, starts);
    ids.push_back(match->id);
    if (starts != nullptr) starts->push_back(match->begin);
    at = match->end;
  }
  encode_stretch(text.substr(at), at, recognise, allowed, ids, starts);
}

void Tokenizer::Impl::encode_stretch(std::string_view text, size_t offset, bool recognise,
                                     const AddedTokenFinder::Allowed& allowed, std::vector<int32_t>& ids,
                                     std::vector<size_t>* starts) const {
  if (text.empty()) return;
  std::vector<unicode::Alignment> alignment{{0, 0, false}};
  std::string changed;
  if (nfc_ && !unicode::surely_nfc(text)) {
    changed = unicode::nfc(text, starts != nullptr ? &alignment : nullptr);
    text = changed;
  }
  const auto note_starts = [&](size_t normalised) {
    if (starts == nullptr) return;
    while (starts->size() < ids.size()) {
      const int32_t id = ids[starts->size()];
      starts->push_back(offset + original_offset(alignment, normalised));
      normalised += token_bytes[static_cast<size_t>(id)].size();
    }
  };
  size_t at = 0;
  while (recognise && !normalised_finder_.empty()) {
    const auto match = normalised_finder_.find(text, at, [&](size_t begin, size_t end, int32_t id) {
      return !allowed ||
             allowed(offset + original_offset(alignment, begin), offset + original_offset(alignment, end), id);
    });
    if (!match) break;
    encode_plain(text.substr(at, match->begin - at), ids);
    note_starts(at);
    ids.push_back(match->id);
    note_starts(match->begin);
    at = match->end;
  }
  encode_plain(text.substr(at), ids);
  note_starts(at);
}

void Tokenizer::Impl::encode_plain(std::string_view normalised, std::vector<int32_t>& ids) const {
  const char* end = normalised.data() + normalised.size();
  SplitScanner scanner(split_pattern_, normalised.data(), end);
  for (std::string_view piece = scanner.next(); !piece.empty(); piece = scanner.next()) bpe_.encode(piece, end, ids);
}

}  // namespace lathe
