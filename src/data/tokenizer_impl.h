#pragma once
// What a Tokenizer holds. Only for the files of the tokenizer itself.
#include <lathe/tokenizer.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/bpe.h"
#include "data/tokenizer_added.h"
#include "data/tokenizer_file.h"
#include "data/tokenizer_vocab.h"
#include "data/unicode.h"

namespace lathe {

struct Tokenizer::Impl {
  /// @throws Error(kData) when ids or merges do not fit together. path is named in errors.
  Impl(TokenizerFile file, const std::string& path);

  /// Encodes text, which is valid UTF-8. @param recognise look for added tokens. @param allowed as in the finder, in
  /// offsets of text. @param starts may be null; else the offset in text at which each token begins.
  void encode(std::string_view text, bool recognise, const AddedTokenFinder::Allowed& allowed,
              std::vector<int32_t>& ids, std::vector<size_t>* starts) const;

  std::string directory, chat_template, fingerprint;
  std::optional<int32_t> eos_id, pad_id;
  TokenTable vocab, added;               ///< texts as the file has them: byte-level alphabet; plain
  std::vector<std::string> token_bytes;  ///< by id: what the token decodes to
  std::vector<uint8_t> exists, special;  ///< by id

 private:
  void add_tokens(const std::vector<AddedToken>& tokens, const std::string& path);
  void encode_stretch(std::string_view text, size_t offset, bool recognise, const AddedTokenFinder::Allowed& allowed,
                      std::vector<int32_t>& ids, std::vector<size_t>* starts) const;
  void encode_plain(std::string_view normalised, std::vector<int32_t>& ids) const;

  bool nfc_;
  SplitPattern split_pattern_;
  Bpe bpe_;
  AddedTokenFinder raw_finder_, normalised_finder_;
};

/// @throws Error(kData) with the offset of the first byte that is no UTF-8.
void require_utf8(std::string_view text);

}  // namespace lathe
