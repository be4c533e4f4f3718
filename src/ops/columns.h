#pragma once
// What is done to each column of a [T,O] tensor, in fp32 arithmetic, rounded once where the tensor is bf16.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// x · scale + bias, column by column, as a new tensor of x's type.
/// @param x [T,O]  @param scale [O] fp32  @param bias [O] of x's type; undefined: none
[[nodiscard]] at::Tensor scale_columns(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& bias);

/// The sum of x · y down each column, [O] fp32.  @param x [T,O]  @param y as x
[[nodiscard]] at::Tensor column_dots(const at::Tensor& x, const at::Tensor& y);

}  // namespace lathe::ops
