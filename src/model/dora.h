#pragma once
// DoRA (Liu et al. 2024) with peft's meaning. V = W + s B A gives the direction; m, a vector that trains, the lengths
// of V's rows. With n the norms of those rows, a constant to every gradient, g = m / n and x' = dropout(x):
//   y = b + W x + (g - 1) W x' + g s B A x'
//
// I in features, O out features, R rank.
#include <ATen/core/Tensor.h>

#include "model/lora.h"
#include "model/model_files.h"

namespace lathe {

/// n: the norm of each row of W + s B A, [O] fp32, some rows at a time. The product is one of the compute type, the sum
/// and the norm are fp32.
/// @param weight [O,I] dense, or opened  @param a [R,I]  @param b [O,R]; all of the compute type  @param scale s
[[nodiscard]] at::Tensor direction_norms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b,
                                         double scale);

/// peft's first magnitudes: the norms of the base weights' rows, rounded to the base's type and kept as fp32 (B is
/// zero).
/// @param adapter those of its magnitudes are overwritten  @param computed the type that quantised weights are opened
/// in
void set_first_magnitudes(TensorMap& adapter, const QuantizedModel& base, at::ScalarType computed);

/// m becomes g, once and for all, where neither weights nor adapter change any more (LoraSettings::magnitudes_fixed).
/// @param weights base and adapter, of the compute type but for the magnitudes
void fix_magnitudes(TensorMap& weights, const LoraConfig& config);

}  // namespace lathe
