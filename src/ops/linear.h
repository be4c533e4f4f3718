#pragma once
// Dense products of a linear layer and of a low-rank adapter beside it.
//
// T tokens, I in features, O out features, R rank.
#include <ATen/core/Tensor.h>

#include "ops/product.h"

namespace lathe::ops {

/// y = x Wᵀ + bias, rounded, + the product of an adapter beside it, rounded again, as peft rounds its sum.
/// @param x [T,I]  @param weight [O,I]  @param bias [O] or undefined
/// @param adapter [T,R]: x Aᵀ with the adapter's scale, and [R,O]: Bᵀ; or none
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                const Factors& adapter = {});

/// dx += dy W + the adapter's part; dx undefined: dx = them. Rounded as y.
/// @param dy [T,O]  @param weight [O,I]  @param dx [T,I]
/// @param adapter [T,R]: dy B with the adapter's scale, and [R,I]: A; or none
void linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx, const Factors& adapter = {});

/// dyᵀ x, [O,I] in their type.
[[nodiscard]] at::Tensor linear_weight_gradient(const at::Tensor& dy, const at::Tensor& x);
/// The same written into, or added to, a place of their type or of fp32; no second [O,I] comes to be.
void linear_weight_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& into, bool add);

/// Sum over tokens, [O] fp32.
[[nodiscard]] at::Tensor linear_bias_gradient(const at::Tensor& dy);

/// y += a b, rounded once; nothing without factors.  @param y [T,N]
void add_factors(const at::Tensor& y, const Factors& adapter);

}  // namespace lathe::ops
