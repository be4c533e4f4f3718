#pragma once
// From one row of logits to the next id: transformers' processors, in transformers' order.
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <set>

#include "model/generation.h"

namespace lathe {

/// Scores after repetition penalty and, when config.temperature > 0, temperature, top-k and top-p, in that order.
/// What a filter removed is -infinity.
/// @param logits [V] fp32.  @param seen ids of prompt and answer so far; those beyond V are left out.
[[nodiscard]] at::Tensor process_logits(const at::Tensor& logits, const std::set<int32_t>& seen,
                                        const GenerationConfig& config);

/// The largest score (temperature 0), or a draw from softmax(scores) with the generator's next values: the id that
/// torch.multinomial gives for the same generator state.
[[nodiscard]] int32_t choose_token(const at::Tensor& scores, const GenerationConfig& config, at::Generator& generator);

/// @throws Error(kConfig) naming the setting that is out of range.
void check_generation_config(const GenerationConfig& config);

}  // namespace lathe
