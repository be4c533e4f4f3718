#pragma once
// Which files a trained model is: an adapter beside its base, or a whole model; tokenizer and template with it.
#include <optional>
#include <string>

#include "config/model_shape.h"
#include "config/training_arguments.h"
#include "engine/trainable.h"
#include "model/lora.h"

namespace lathe {

class ModelSaver {
 public:
  /// @param lora nullopt: the whole model is saved.  @param model_directory the base model's folder.
  ModelSaver(const TrainingArguments& args, ModelShape shape, std::optional<LoraConfig> lora,
             std::string model_directory);

  /// adapter_config.json + adapter_model.safetensors, or config.json + model.safetensors; tokenizer files;
  /// inference.json (the template that eval, chat and serve take up). The tensors are the store's own.
  [[nodiscard]] FilesToSave files(const ParameterStore& store) const;
  /// Writes them; directory has to exist. @throws Error(kIo)
  void save(const std::string& directory, const ParameterStore& store) const;
  /// The trained weights of such a folder. @throws Error(kData)
  [[nodiscard]] TensorMap load(const std::string& directory) const;
  [[nodiscard]] bool is_adapter() const { return lora_.has_value(); }
  /// Name of a parameter in this model's own files (peft's or Hugging Face's).
  [[nodiscard]] std::string file_name(const ParameterId& id) const;
  [[nodiscard]] const std::string& model_directory() const { return model_directory_; }
  [[nodiscard]] const ModelShape& shape() const { return shape_; }

 private:
  void add_tokenizer(FilesToSave& files) const;
  std::string template_name_;
  std::optional<bool> enable_thinking_;
  ModelShape shape_;
  std::optional<LoraConfig> lora_;
  std::string model_directory_;
};

}  // namespace lathe
