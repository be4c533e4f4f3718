#pragma once
// tokenizer.json as it is on disk: read, checked, and refused by name where it is of a kind Lathe does not know.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tokenizer_split.h"

namespace lathe {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;  ///< looked for in the normalised text instead of the text as given
};

struct TokenizerFile {
  std::vector<std::pair<std::string, int32_t>> vocab;       ///< tokens in the byte-level alphabet
  std::vector<std::pair<std::string, std::string>> merges;  ///< in order of rank
  std::vector<AddedToken> added_tokens;
  bool nfc = false;
  SplitPattern split_pattern = SplitPattern::kQwen;
};

/// @param path named in errors.  @throws Error(kData): no JSON, a missing or wrongly typed member, or a kind of
/// tokenizer that is not byte-level BPE with one of the known patterns (what it is, is named).
[[nodiscard]] TokenizerFile parse_tokenizer_file(std::string_view text, const std::string& path);

/// The byte-level alphabet: every byte is written as one printable character (GPT-2's table).
[[nodiscard]] std::string byte_to_alphabet(unsigned char byte);
[[nodiscard]] std::string bytes_to_alphabet(std::string_view bytes);
/// Nothing when a character is not of the alphabet.
[[nodiscard]] std::optional<std::string> alphabet_to_bytes(std::string_view token);

}  // namespace lathe
