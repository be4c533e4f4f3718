#pragma once
// Inverse frequencies of the rotary embedding, plain or stretched by YaRN, as transformers 5 works them out.
#include <ATen/core/Tensor.h>

#include "config/model_shape.h"

namespace lathe {

struct RopeFrequencies {
  at::Tensor inverse;           ///< [head_dim / 2] fp32
  double attention_factor = 1;  ///< cos and sin are multiplied by it
};

/// Source: Su et al. 2021; Peng et al. 2023 (YaRN), section 3 and its attention temperature.
[[nodiscard]] RopeFrequencies rope_frequencies(const ModelShape& shape);

}  // namespace lathe
