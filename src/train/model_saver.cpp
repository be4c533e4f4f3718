#include "train/model_saver.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
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

void add_if_there(FilesToSave& files, const std::string& folder, const char* name) {
  const std::string path = folder + "/" + name;
  if (file_exists(path)) files.push_back({.name = name, .copied_from = path});
}

/// What an adapter's file holds: its own masters, copies of modules_to_save as the model reads them.
std::map<ParameterId, TensorToSave> saved_by_adapter(const ParameterStore& store) {
  std::map<ParameterId, TensorToSave> saved;
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    const TrainableParameter& parameter = store.parameters()[i];
    const bool whole = is_adapter(parameter.id.part);
    saved[parameter.id] =
        to_save(peft_name(parameter.id), whole ? store.master(i) : plain_state("", parameter.master.weight));
  }
  return saved;
}

/// The same tensors mean another model under another scale, or where tied embeddings part.
void check_same_meaning(const LoraConfig& saved, const LoraConfig& ours, const ModelShape& shape,
                        const std::string& directory) {
  const auto differ = [&](const char* key, const char* what) {
    throw Error(ErrorKind::kData, fmt::format("the adapter there has another {} than this run", what),
                {.file = directory + "/adapter_config.json", .key = key}, "take the settings that it was made with");
  };
  if (saved.scale() != ours.scale()) differ("lora_alpha", "scale (lora_alpha, lora_r, use_rslora)");
  if (shape_behind(saved, shape).tie_word_embeddings != shape_behind(ours, shape).tie_word_embeddings) {
    differ("ensure_weight_tying", "tying of embeddings");
  }
}

}  // namespace

ModelSaver::ModelSaver(const TrainingArguments& args, ModelShape shape, std::optional<LoraConfig> lora,
                       std::string model_directory)
    : template_name_(args.template_name),
      enable_thinking_(args.enable_thinking),
      shape_(std::move(shape)),
      lora_(std::move(lora)),
      model_directory_(std::move(model_directory)) {}

FilesToSave ModelSaver::files(const ParameterStore& store) const {
  FilesToSave files =
      lora_ ? adapter_files(*lora_, shape_, saved_by_adapter(store)) : model_weight_files(shape_, store.all_weights());
  if (!lora_) add_if_there(files, model_directory_, "generation_config.json");
  add_tokenizer(files);
  return files;
}

void ModelSaver::save(const std::string& directory, const ParameterStore& store) const {
  FilesToSave whole = files(store);
  copy_from_gpu(whole);
  save_files(directory, whole);
}

void ModelSaver::add_tokenizer(FilesToSave& files) const {
  for (const char* name : kTokenizerFiles) add_if_there(files, model_directory_, name);
  const Json inference = {{"template", template_name_},
                          {"enable_thinking", enable_thinking_ ? Json(*enable_thinking_) : Json(nullptr)}};
  files.push_back({.name = "inference.json", .text = dump_json(inference, 2) + "\n"});
}

TensorMap ModelSaver::load(const std::string& directory) const {
  if (lora_) {
    LoadedAdapter adapter = load_adapter(directory, shape_);
    check_same_meaning(adapter.config, *lora_, shape_, directory);
    return std::move(adapter.weights);
  }
  return load_model_weights(directory, shape_, std::nullopt);
}

std::string ModelSaver::file_name(const ParameterId& id) const {
  return lora_ ? peft_name(id) : hf_name(id);
}

}  // namespace lathe
