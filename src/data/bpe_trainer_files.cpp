// The two files of a trained tokenizer.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "data/bpe_trainer.h"
#include "data/tokenizer_split.h"

namespace lathe {
namespace {

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

Json added_token(const std::string& content) {
  return {{"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false},  {"special", true}};
}

bool among(const std::vector<std::string>& tokens, const std::string& token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

std::string tokenizer_json(const TrainedBpe& bpe, const std::vector<std::string>& special_tokens) {
  Json added = Json::array();
  for (size_t i = 0; i < special_tokens.size(); ++i) {
    Json token = {{"id", bpe.tokens.size() + i}};
    token.update(added_token(special_tokens[i]));
    added.push_back(std::move(token));
  }
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", qwen_split_regex()}}}, {"behavior", "Isolated"}, {"invert", false}};
  // A Json object looks every new key up by walking over the others: too slow for a vocabulary.
  std::string vocab = "{", merges = "[";
  for (size_t i = 0; i < bpe.tokens.size(); ++i) {
    vocab += (i > 0 ? "," : "") + dump_json(bpe.tokens[i]) + ":" + std::to_string(i);
  }
  for (size_t i = 0; i < bpe.merges.size(); ++i) {
    merges += (i > 0 ? "," : "") + dump_json(Json::array({bpe.merges[i].first, bpe.merges[i].second}));
  }
  const Json head = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added},
                     {"normalizer", {{"type", "NFC"}}},
                     {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level()})}}},
                     {"post_processor", byte_level()},
                     {"decoder", byte_level()}};
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", ""},
                      {"end_of_word_suffix", ""},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", false}};
  std::string text = dump_json(head), model_text = dump_json(model);
  text.pop_back();
  model_text.pop_back();
  return text + ",\"model\":" + model_text + ",\"vocab\":" + vocab + "},\"merges\":" + merges + "]}}\n";
}

std::string tokenizer_config_json(const TrainedBpe& bpe, const std::vector<std::string>& special_tokens) {
  Json decoder = Json::object();
  for (size_t i = 0; i < special_tokens.size(); ++i) {
    decoder[std::to_string(bpe.tokens.size() + i)] = added_token(special_tokens[i]);
  }
  const auto token_or_null = [&](const char* token) {
    return among(special_tokens, token) ? Json(token) : Json(nullptr);
  };
  Json eos = token_or_null("<|im_end|>");
  if (eos.is_null()) eos = token_or_null("<|endoftext|>");
  const Json config = {{"add_bos_token", false},
                       {"add_prefix_space", false},
                       {"added_tokens_decoder", decoder},
                       {"additional_special_tokens", special_tokens},
                       {"bos_token", nullptr},
                       {"clean_up_tokenization_spaces", false},
                       {"eos_token", eos},
                       {"errors", "replace"},
                       {"model_max_length", 131072},
                       {"pad_token", token_or_null("<|endoftext|>")},
                       {"split_special_tokens", false},
                       {"tokenizer_class", "Qwen2Tokenizer"},
                       {"unk_token", nullptr}};
  return dump_json(config, 2) + "\n";
}

}  // namespace lathe
