#pragma once
// LoRA adapters with peft's meaning: which modules, first values, files.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "config/modules_to_save.h"
#include "model/model_files.h"

namespace lathe {

struct LoraConfig {
  int64_t r = 8;
  double alpha = 8, dropout = 0;
  /// Names ("q_proj"), or one regular expression over full module names, or "all-linear".
  std::variant<std::vector<std::string>, std::string> target_modules;
  bool use_rslora = false;
  bool use_dora = false;  ///< model/dora.h
  ModulesToSave modules_to_save;
  std::string base_model_name_or_path;
  [[nodiscard]] double scale() const;  ///< alpha / r, or alpha / sqrt(r)
};

/// The modules (site of a layer, part kWeight) that target_modules selects, in the order of transformers'
/// named_modules(); those that modules_to_save names get no adapter.
/// @throws Error(kConfig) when a name or the expression matches nothing, naming it and what exists; when a module
/// would have both an adapter and a copy.
[[nodiscard]] std::vector<ParameterId> select_modules(const LoraConfig& config, const ModelShape& shape);

/// peft's first values for torch's generator in the state that set_seed(seed) leaves: fp32 A (kaiming uniform), B zero.
/// DoRA's magnitudes are ones, for set_first_magnitudes (model/dora.h).
/// @param base_dtype with bf16 or fp16 bases each draw is rounded to it and kept as fp32 (docs/numerics.md);
/// over a quantised base nothing is rounded: kFloat.
[[nodiscard]] TensorMap init_lora_weights(const LoraConfig& config, const ModelShape& shape, uint64_t seed,
                                          at::ScalarType base_dtype);

/// The parameters that modules_to_save copies, and their shapes. Tied embeddings that stay one are the embedding's.
[[nodiscard]] std::map<ParameterId, std::vector<int64_t>> copied_shapes(const LoraConfig& config,
                                                                        const ModelShape& shape);
/// The base model's shape as it is behind the adapter: not tied any more where ModulesToSave::unties says so.
[[nodiscard]] ModelShape shape_behind(const LoraConfig& config, ModelShape shape);
/// Puts the adapter's tensors among the base model's, copies in the place of what they are copies of. Where tied
/// embeddings part, the head has the base's table under its own name.
void add_adapter(TensorMap& base, const LoraConfig& config, const ModelShape& shape, const TensorMap& adapter);

/// adapter_config.json and adapter_model.safetensors, as peft writes them: A, B and magnitudes in fp32, copies of
/// modules_to_save in the type they are held in.
[[nodiscard]] FilesToSave adapter_files(const LoraConfig& config, const ModelShape& shape,
                                        std::map<ParameterId, TensorToSave> adapter);
/// Writes them. @throws Error(kIo)
void save_adapter(const std::string& directory, const LoraConfig& config, const ModelShape& shape,
                  const TensorMap& adapter);
/// Reads peft's files. @throws Error(kData): another peft_type than LORA, missing or foreign tensors, shapes.
struct LoadedAdapter {
  LoraConfig config;
  TensorMap weights;  ///< A, B and magnitudes in fp32; copies of modules_to_save as stored
};
[[nodiscard]] LoadedAdapter load_adapter(const std::string& directory, const ModelShape& shape);

}  // namespace lathe
