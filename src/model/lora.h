#pragma once
// LoRA adapters with peft's meaning: which modules, first values, files.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "model/model_files.h"

namespace lathe {

struct LoraConfig {
  int64_t r = 8;
  double alpha = 8, dropout = 0;
  /// Names ("q_proj"), or one regular expression over full module names, or "all-linear".
  std::variant<std::vector<std::string>, std::string> target_modules;
  bool use_rslora = false;
  std::string base_model_name_or_path;
  [[nodiscard]] double scale() const;  ///< alpha / r, or alpha / sqrt(r)
};

/// The modules (site of a layer, part kWeight) that target_modules selects, in the order of transformers'
/// named_modules().
/// @throws Error(kConfig) when a name or the expression matches nothing, naming it and what exists.
[[nodiscard]] std::vector<ParameterId> select_modules(const LoraConfig& config, const ModelShape& shape);

/// peft's first values for torch's generator in the state that set_seed(seed) leaves: fp32 A (kaiming uniform), B zero.
/// @param base_dtype with bf16 or fp16 bases each draw is rounded to it and kept as fp32 (docs/numerics.md);
/// over a quantised base nothing is rounded: kFloat.
[[nodiscard]] TensorMap init_lora_weights(const LoraConfig& config, const ModelShape& shape, uint64_t seed,
                                          at::ScalarType base_dtype);

/// adapter_config.json and adapter_model.safetensors, as peft writes them.
/// @param adapter fp32
[[nodiscard]] FilesToSave adapter_files(const LoraConfig& config, std::map<ParameterId, TensorToSave> adapter);
/// Writes them. @throws Error(kIo)
void save_adapter(const std::string& directory, const LoraConfig& config, const TensorMap& adapter);
/// Reads peft's files. @throws Error(kData): another peft_type than LORA, DoRA, missing or foreign tensors, shapes.
struct LoadedAdapter {
  LoraConfig config;
  TensorMap weights;  ///< fp32
};
[[nodiscard]] LoadedAdapter load_adapter(const std::string& directory, const ModelShape& shape);

}  // namespace lathe
