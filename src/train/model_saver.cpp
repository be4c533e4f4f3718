#include "train/model_saver.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"

namespace lathe {
namespace {

/// What belongs to a tokenizer in a Hugging Face folder; copied when there.
constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt",     "chat_template.jinja"};

void copy_if_there(const std::string& from, const std::string& to, const char* name) {
  if (file_exists(from + "/" + name)) atomic_write(to + "/" + name, read_text_file(from + "/" + name));
}

}  // namespace

ModelSaver::ModelSaver(const TrainingArguments& args, ModelShape shape, std::optional<LoraConfig> lora,
                       std::string model_directory)
    : template_name_(args.template_name),
      enable_thinking_(args.enable_thinking),
      shape_(std::move(shape)),
      lora_(std::move(lora)),
      model_directory_(std::move(model_directory)) {}

void ModelSaver::save(const std::string& directory, const ParameterStore& store) const {
  if (lora_) {
    save_adapter(directory, *lora_, store.trained_weights());
  } else {
    save_model_weights(directory, shape_, store.all_weights());
    copy_if_there(model_directory_, directory, "generation_config.json");
  }
  copy_tokenizer(directory);
}

void ModelSaver::copy_tokenizer(const std::string& directory) const {
  for (const char* name : kTokenizerFiles) copy_if_there(model_directory_, directory, name);
  const Json inference = {{"template", template_name_},
                          {"enable_thinking", enable_thinking_ ? Json(*enable_thinking_) : Json(nullptr)}};
  atomic_write(directory + "/inference.json", dump_json(inference, 2) + "\n");
}

TensorMap ModelSaver::load(const std::string& directory) const {
  if (lora_) return load_adapter(directory, shape_).weights;
  return load_model_weights(directory, shape_, std::nullopt);
}

std::string ModelSaver::file_name(const ParameterId& id) const {
  return lora_ ? peft_name(id) : hf_name(id);
}

}  // namespace lathe
