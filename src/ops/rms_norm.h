#pragma once
// RMS normalisation (Zhang & Sennrich 2019) with transformers' order of rounding: the statistics and the scaled row in
// fp32, rounded to the input's type, then multiplied by the weight in that type.
//
// N rows, H elements a row.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// y = x / sqrt(mean(x²) + eps) · weight.
/// @param x [N,H] fp32|bf16  @param weight [H] same type  @param rstd out: [N] fp32, kept for backward; may be null.
[[nodiscard]] at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor* rstd);

/// @param dweight out: [H] fp32; null: not computed.  @param want_dx false: returns an undefined tensor.
/// @returns dx [N,H], the type of x.
[[nodiscard]] at::Tensor rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                                           const at::Tensor& rstd, at::Tensor* dweight, bool want_dx = true);

}  // namespace lathe::ops
