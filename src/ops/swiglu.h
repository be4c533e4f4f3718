#pragma once
// SwiGLU (Shazeer 2020): silu(gate) · up, elementwise; silu rounded to the inputs' type before the product, as in
// transformers' MLP.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// @param gate, up [T,I] fp32|bf16  @returns [T,I]
[[nodiscard]] at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
/// In place, in one pass: gate becomes d gate, up becomes d up, dy becomes what swiglu() gave.
/// @param dy, gate, up [T,I] contiguous, the same type; they share no memory
void swiglu_backward_(at::Tensor& dy, at::Tensor& gate, at::Tensor& up);

}  // namespace lathe::ops
