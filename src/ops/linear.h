#pragma once
// Dense products of a linear layer and of a low-rank adapter beside it.
//
// T tokens, I in features, O out features, R rank.
#include <ATen/core/Tensor.h>

namespace lathe::ops {

/// y = x Wᵀ + bias.  @param x [T,I]  @param weight [O,I]  @param bias [O] or undefined
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// dx += dy W; dx undefined: dx = dy W.  @param dy [T,O]  @param weight [O,I]  @param dx [T,I]
void linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx);

/// dyᵀ x, [O,I] in their type.
[[nodiscard]] at::Tensor linear_weight_gradient(const at::Tensor& dy, const at::Tensor& x);
/// The same written into, or added to, a place of their type or of fp32; no second [O,I] comes to be.
void linear_weight_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& into, bool add);

/// Sum over tokens, [O] fp32.
[[nodiscard]] at::Tensor linear_bias_gradient(const at::Tensor& dy);

/// y += a_x Bᵀ.  @param a_x [T,R]: x Aᵀ with the adapter's scale  @param b [O,R] of the adapter
void add_low_rank(at::Tensor& y, const at::Tensor& a_x, const at::Tensor& b);

}  // namespace lathe::ops
