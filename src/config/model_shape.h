#pragma once
// What config.json says of a model: everything about its shape, nothing about its weights.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/json.h"

namespace lathe {

enum class ModelFamily { kQwen2, kQwen3 };

/// YaRN (Peng et al. 2023), as transformers' _compute_yarn_parameters reads it.
struct YarnScaling {
  double factor = 1;
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32, beta_slow = 1;
  std::optional<double> attention_factor, mscale, mscale_all_dim;
  bool truncate = true;
};

struct ModelShape {
  ModelFamily family = ModelFamily::kQwen2;
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_layers = 0;
  int64_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6, rope_theta = 10000, initializer_range = 0.02;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;  ///< Qwen2: true; Qwen3: attention_bias
  bool o_bias = false;    ///< Qwen3's attention_bias
  bool qk_norm = false;   ///< Qwen3
  std::optional<YarnScaling> yarn;
  DType torch_dtype = DType::kF32;  ///< dtype (or torch_dtype) of config.json; fp32 when absent
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;
  Json source;  ///< the file as read, for writing it again

  [[nodiscard]] int64_t num_parameters() const;  ///< tied weights once
};

/// @throws Error(kData) naming file and key: missing key, wrong type, impossible value, unknown model_type (names those
/// that are supported; Qwen MoE, vision, GPTQ and AWQ by name), sliding-window attention in use, unknown rope scaling.
/// Accepts transformers 4's rope_theta/rope_scaling and 5's rope_parameters.
[[nodiscard]] ModelShape parse_model_shape(const Json& config, const std::string& file);
[[nodiscard]] ModelShape read_model_shape(const std::string& directory);

}  // namespace lathe
