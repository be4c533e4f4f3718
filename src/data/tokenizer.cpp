#include <lathe/tokenizer.h>

#include "data/tokenizer_impl.h"

namespace lathe {

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  require_utf8(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 4 + 4);
  impl_->encode(text, true, {}, ids, nullptr);
  return ids;
}

std::vector<int32_t> Tokenizer::encode_ordinary(std::string_view text) const {
  require_utf8(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 4 + 4);
  impl_->encode(text, false, {}, ids, nullptr);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (skip_special_tokens && is_special(id)) continue;
    bytes += id_to_token(id);
  }
  return unicode::to_valid_utf8(bytes);
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  if (const auto id = impl_->added.find(token)) return id;
  return impl_->vocab.find(bytes_to_alphabet(token));
}

std::string Tokenizer::id_to_token(int32_t id) const {
  return id >= 0 && id < vocab_size() ? impl_->token_bytes[static_cast<size_t>(id)] : std::string();
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->special[static_cast<size_t>(id)] != 0;
}

int64_t Tokenizer::vocab_size() const {
  return static_cast<int64_t>(impl_->token_bytes.size());
}
std::optional<int32_t> Tokenizer::eos_id() const {
  return impl_->eos_id;
}
std::optional<int32_t> Tokenizer::pad_id() const {
  return impl_->pad_id;
}
const std::string& Tokenizer::chat_template() const {
  return impl_->chat_template;
}
const std::string& Tokenizer::fingerprint() const {
  return impl_->fingerprint;
}
const std::string& Tokenizer::directory() const {
  return impl_->directory;
}

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_tokens_ && tokenizer_->is_special(id)) return "";
  std::string unfinished;
  std::string text = unicode::to_valid_utf8(pending_ + tokenizer_->id_to_token(id), &unfinished);
  pending_ = std::move(unfinished);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = unicode::to_valid_utf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace lathe
