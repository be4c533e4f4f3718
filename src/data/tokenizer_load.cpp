// A model folder's tokenizer files, put together.
#include <fmt/core.h>
#include <lathe/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "data/tokenizer_impl.h"

namespace lathe {
namespace {

Bpe build_bpe(const TokenTable& vocab, const TokenizerFile& file, const std::string& path) {
  std::vector<int32_t> byte_ids;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = byte_to_alphabet(static_cast<unsigned char>(byte));
    const auto id = vocab.find(token);
    if (!id) {
      throw Error(ErrorKind::kData, fmt::format("the vocabulary has no token for byte 0x{:02X} ('{}')", byte, token),
                  {path, 0, "model.vocab"}, "Lathe needs a byte-level vocabulary that holds all 256 bytes");
    }
    byte_ids.push_back(*id);
  }
  std::vector<Merge> merges;
  merges.reserve(file.merges.size());
  std::string joined;
  for (const auto& [left, right] : file.merges) {
    joined.assign(left).append(right);
    const auto left_id = vocab.find(left), right_id = vocab.find(right), merged_id = vocab.find(joined);
    if (!left_id || !right_id || !merged_id) {
      const std::string& missing = !left_id ? left : !right_id ? right : joined;
      throw Error(ErrorKind::kData,
                  fmt::format("merge {} ('{}' and '{}') needs the token '{}', which is not in the vocabulary",
                              merges.size(), left, right, missing),
                  {path, 0, "model.merges"});
    }
    merges.push_back({*left_id, *right_id, *merged_id});
  }
  return {byte_ids, merges};
}

std::string token_text(const Json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object()) return "";
  const auto content = found->find("content");
  return content != found->end() && content->is_string() ? content->get<std::string>() : "";
}

/// chat_template is a text, or a list of named ones of which "default" counts.
std::string config_template(const Json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const Json& entry : *found) {
    if (entry.is_object() && entry.value("name", "") == "default") return entry.value("template", "");
  }
  return "";
}

}  // namespace

Tokenizer::Impl::Impl(TokenizerFile file, const std::string& path)
    : vocab(std::move(file.vocab)),
      nfc_(file.nfc),
      split_pattern_(file.split_pattern),
      bpe_(build_bpe(vocab, file, path)) {
  int32_t largest = 0;
  for (const auto& entry : vocab.tokens()) largest = std::max(largest, entry.second);
  for (const AddedToken& token : file.added_tokens) largest = std::max(largest, token.id);
  // Ids far beyond the number of tokens are a broken file; tables by id would eat the memory.
  if (static_cast<size_t>(largest) > 16 * (vocab.tokens().size() + file.added_tokens.size()) + 65536) {
    throw Error(ErrorKind::kData, fmt::format("token id {} is out of all proportion to the vocabulary", largest),
                {path, 0, ""});
  }
  const size_t size = static_cast<size_t>(largest) + 1;
  token_bytes.resize(size);
  exists.resize(size);
  special.resize(size);
  for (const auto& [token, id] : vocab.tokens()) {
    const auto at = static_cast<size_t>(id);
    if (exists[at])
      throw Error(ErrorKind::kData, fmt::format("two tokens have the id {}", id), {path, 0, "model.vocab"});
    exists[at] = 1;
    token_bytes[at] = alphabet_to_bytes(token).value_or(token);
  }
  add_tokens(file.added_tokens, path);
}

void Tokenizer::Impl::add_tokens(const std::vector<AddedToken>& tokens, const std::string& path) {
  std::vector<std::pair<std::string, int32_t>> texts;
  for (const AddedToken& token : tokens) {
    const auto at = static_cast<size_t>(token.id);
    const auto known = vocab.find(token.content);
    if (known ? *known != token.id : exists[at] != 0) {
      throw Error(
          ErrorKind::kData,
          fmt::format("the added token '{}' has the id {}, which belongs to another token", token.content, token.id),
          {path, 0, "added_tokens"});
    }
    exists[at] = 1;
    special[at] = token.special ? 1 : 0;
    // The library's decoder reads added tokens through the byte-level alphabet too.
    token_bytes[at] = alphabet_to_bytes(token.content).value_or(token.content);
    if (token.normalized) {
      normalised_finder_.insert(nfc_ ? unicode::nfc(token.content) : token.content, token.id);
    } else {
      raw_finder_.insert(token.content, token.id);
    }
    texts.emplace_back(token.content, token.id);
  }
  added = TokenTable(std::move(texts));
}

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::string& directory) {
  const std::string path = directory + "/tokenizer.json", config_path = directory + "/tokenizer_config.json";
  const std::string template_path = directory + "/chat_template.jinja";
  if (!file_exists(path)) {
    throw Error(ErrorKind::kData, "there is no tokenizer.json", {directory, 0, ""},
                "a model folder needs one; tokenizer.save_pretrained() of transformers writes it");
  }
  const auto mapped = MappedFile::open(path);
  auto impl = std::make_unique<Impl>(parse_tokenizer_file(mapped->text(), path), path);
  impl->directory = directory;
  const auto id_of = [&](const std::string& token) {
    const auto id = impl->added.find(token);
    return id ? id : impl->vocab.find(token);
  };
  if (file_exists(config_path)) {
    const Json config = read_json_file(config_path);
    if (!config.is_object()) throw Error(ErrorKind::kData, "is not an object", {config_path, 1, ""});
    impl->chat_template = config_template(config);
    if (const std::string eos = token_text(config, "eos_token"); !eos.empty()) impl->eos_id = id_of(eos);
    if (const std::string pad = token_text(config, "pad_token"); !pad.empty()) impl->pad_id = id_of(pad);
  }
  if (file_exists(template_path)) impl->chat_template = read_text_file(template_path);
  impl->fingerprint = Sha256().update(mapped->text()).update(impl->chat_template).hex();
  return std::make_shared<const Tokenizer>(std::move(impl));
}

}  // namespace lathe
