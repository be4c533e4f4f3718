#pragma once
/// Byte-level BPE tokenizers as published in a model folder's tokenizer.json (Qwen2, Qwen2.5, Qwen3, and our own).
///
/// Ids equal those of the Python `tokenizers` library for every text. Thread-safety: const methods may be called from
/// several threads at once.
///
///     auto tokenizer = lathe::Tokenizer::load("models/Qwen2.5-0.5B-Instruct");
///     std::vector<int32_t> ids = tokenizer->encode("Hello<|im_end|>");   // special tokens in the text are recognised
///     std::string text = tokenizer->decode(ids, /*skip_special_tokens=*/true);
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

class Tokenizer {
 public:
  /// Reads tokenizer.json and, where there, tokenizer_config.json (and chat_template.jinja) of a folder.
  /// @throws Error(kData) when missing, broken, or of a kind that is not byte-level BPE (named).
  [[nodiscard]] static std::shared_ptr<const Tokenizer> load(const std::string& directory);
  ~Tokenizer();

  /// Added tokens found in the text become their ids; the rest is normalised, split and merged.
  /// @throws Error(kData) when text is not UTF-8 (the byte offset is in the message; callers add file and line).
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const;
  /// The same for text in which added tokens have no meaning of their own (a user's words).
  [[nodiscard]] std::vector<int32_t> encode_ordinary(std::string_view text) const;
  /// As `tokenizers` decode: bytes that are no UTF-8 become U+FFFD. Ids without a token are left out.
  [[nodiscard]] std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = false) const;

  [[nodiscard]] std::optional<int32_t> token_to_id(std::string_view token) const;
  [[nodiscard]] std::string id_to_token(int32_t id) const;  ///< the token's own bytes; "" when there is none
  [[nodiscard]] bool is_special(int32_t id) const;
  [[nodiscard]] int64_t vocab_size() const;             ///< largest id + 1, added tokens included
  [[nodiscard]] std::optional<int32_t> eos_id() const;  ///< tokenizer_config.json's eos_token
  [[nodiscard]] std::optional<int32_t> pad_id() const;
  [[nodiscard]] const std::string& chat_template() const;  ///< Jinja text; empty when the folder has none
  [[nodiscard]] const std::string& fingerprint() const;    ///< SHA-256 of tokenizer.json and the template
  [[nodiscard]] const std::string& directory() const;

  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  [[nodiscard]] const Impl& impl() const { return *impl_; }  ///< for src/data alone

 private:
  std::unique_ptr<const Impl> impl_;
};

/// Turns ids into text as they come: bytes of an unfinished character are held back until it is whole.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens = true);
  std::string push(int32_t id);  ///< the text that became certain
  std::string finish();          ///< the rest, U+FFFD for what stayed unfinished

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;
};

}  // namespace lathe
