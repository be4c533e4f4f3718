#pragma once
// A model ready to give text: weights, an adapter over them where there is one, tokenizer and template.
#include <lathe/tokenizer.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/chat_template.h"
#include "engine/trainable.h"
#include "model/causal_lm.h"
#include "model/generation.h"

namespace lathe {

struct InferenceRequest {
  std::string model;                         ///< name or folder; a folder that training filled with an adapter too
  std::string adapter;                       ///< empty: none but the model folder's own
  std::optional<std::string> template_name;  ///< "toolkit", "chat", "none"; nullopt: what training wrote beside it
  std::optional<std::string> dtype;          ///< "float32", "bfloat16"; nullopt: the model's own
};

class InferenceModel {
 public:
  /// @throws Error(kConfig, kData) as the lookup and the readers of files do.
  explicit InferenceModel(const InferenceRequest& request);

  /// Ids of a prompt as the template frames it, ready for an answer. @param system empty: no turn of its own.
  [[nodiscard]] std::vector<int32_t> encode_prompt(const std::string& prompt, const std::string& system) const;
  /// Answer text piece by piece; without special tokens. @returns the new ids.
  std::vector<int32_t> answer(const std::vector<int32_t>& prompt, GenerationConfig config,
                              const std::function<void(const std::string&)>& on_text);
  [[nodiscard]] const std::string& template_name() const { return template_name_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  void choose_template_name(const InferenceRequest& request, const std::vector<std::string>& folders);
  ModelShape shape_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string template_name_;
  std::optional<bool> enable_thinking_;
  std::unique_ptr<CausalLM> model_;
  std::unique_ptr<ParameterStore> weights_;
  std::vector<int64_t> eos_token_ids_;
};

/// The ids that end an answer: config.json's, generation_config.json's, the tokenizer's, and <|im_end|>.
[[nodiscard]] std::vector<int64_t> end_ids(const ModelShape& shape, const Tokenizer& tokenizer,
                                           const std::string& model_directory);

}  // namespace lathe
