#pragma once
// Learns a byte-level BPE vocabulary from text and writes it in the layout of published Qwen tokenizers.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

/// Tokens in the byte-level alphabet: first the 256 bytes, then one token a merge.
struct TrainedBpe {
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;  ///< in the order learnt
};

/// Sennrich et al. 2016 over the pieces that Qwen's pattern splits NFC text into: the most frequent pair is merged
/// first, of equally frequent ones that with the smaller ids. The same texts give the same result. Stops early when
/// no pair occurs twice. @param num_tokens at least 256. @throws Error(kData) when a text is not UTF-8.
[[nodiscard]] TrainedBpe train_bpe(const std::vector<std::string>& texts, int64_t num_tokens);

/// tokenizer.json: NFC, Qwen's pattern, ByteLevel; special tokens get the ids behind the vocabulary.
[[nodiscard]] std::string tokenizer_json(const TrainedBpe& bpe, const std::vector<std::string>& special_tokens);
/// tokenizer_config.json: <|im_end|> ends a turn and <|endoftext|> pads, where they are among special_tokens.
[[nodiscard]] std::string tokenizer_config_json(const TrainedBpe& bpe, const std::vector<std::string>& special_tokens);

}  // namespace lathe
