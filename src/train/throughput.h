#pragma once
// How much of the machine a run used.
#include <ATen/core/ScalarType.h>
#include <c10/core/Device.h>

#include <cstdint>

#include "config/model_shape.h"

namespace lathe {

/// Floating-point operations a second of a square matrix product of that type, the best of a few; takes some 50 ms.
[[nodiscard]] double measure_matmul_flops(at::ScalarType dtype, at::Device device = at::kCPU);

/// Operations that one token of a row of `row_length` tokens needs at least, forward and backward: two a weight and
/// product; gradients of weights only where those train. Recomputation is not counted (Chowdhery et al. 2022, app. B).
[[nodiscard]] double flops_per_token(const ModelShape& shape, int64_t trainable_parameters, bool full_training,
                                     double row_length);

}  // namespace lathe
