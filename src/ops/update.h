#pragma once
// What an optimizer does to whole tensors, spread over threads in pieces of a fixed size: results do not depend on the
// number of threads.
#include <ATen/core/Tensor.h>

#include "kernels/adamw.h"

namespace lathe::ops {

/// Sum of squares in double. @param x fp32|bf16, contiguous
[[nodiscard]] double sum_of_squares(const at::Tensor& x);

/// One update (kernels/adamw.h). All fp32, contiguous and of one shape.
/// @param parameter, exp_avg, exp_avg_sq updated in place
void adamw(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step);

}  // namespace lathe::ops
