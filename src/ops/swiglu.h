#pragma once
// SwiGLU (Shazeer 2020): silu(gate) · up, elementwise; silu rounded to the inputs' type before the product, as in
// transformers' MLP.
#include <ATen/core/Tensor.h>

#include <utility>

namespace lathe::ops {

/// @param gate, up [T,I] fp32|bf16  @returns [T,I]
[[nodiscard]] at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
/// @returns {d gate, d up}, each [T,I]
[[nodiscard]] std::pair<at::Tensor, at::Tensor> swiglu_backward(const at::Tensor& dy, const at::Tensor& gate,
                                                                const at::Tensor& up);

}  // namespace lathe::ops
