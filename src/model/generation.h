#pragma once
// Text from a model: key/value cache, greedy and sampled decoding with transformers' meaning of each setting.
#include <cstdint>
#include <functional>
#include <vector>

#include "model/causal_lm.h"

namespace lathe {

struct GenerationConfig {
  int64_t max_new_tokens = 128;
  double temperature = 0;  ///< 0: greedy
  double top_p = 1;
  int64_t top_k = 0;  ///< 0: off
  double repetition_penalty = 1;
  std::vector<int64_t> eos_token_ids;
  uint64_t seed = 42;
};

/// @param on_token called with each new id (eos included); returning false ends generation.
/// @returns the new ids, eos included when it came.
[[nodiscard]] std::vector<int32_t> generate(CausalLM& model, WeightSource& weights, const std::vector<int32_t>& prompt,
                                            const GenerationConfig& config,
                                            const std::function<bool(int32_t)>& on_token = {});

}  // namespace lathe
