#pragma once
// The ops on a GPU: the plug-in's kernels (kernels/cuda/table.h) called with tensors. Each function is the op of the
// same name without its checks; ops come here by `if (x.is_cuda())`, and nothing else decides where they run.
#include <ATen/core/Tensor.h>

#include "kernels/cuda/table.h"
#include "ops/quantized_weight.h"

namespace lathe::ops::cuda {

/// Kernels, and the stream that libtorch queues on, too.
struct Queue {
  const kernels::cuda::Kernels& kernels;
  kernels::cuda::Stream stream = nullptr;
};

/// @throws Error(kConfig) where the plug-in is missing, saying what to install
[[nodiscard]] Queue queue_of(const at::Tensor& x);

// All tensors contiguous, on one device. A kernel that could not be queued: @throws Error(kRun).
[[nodiscard]] at::Tensor rms_norm(const Queue& queue, const at::Tensor& x, const at::Tensor& weight, double eps,
                                  at::Tensor* rstd);
[[nodiscard]] at::Tensor rms_norm_backward(const Queue& queue, const at::Tensor& dy, const at::Tensor& x,
                                           const at::Tensor& weight, const at::Tensor& rstd, at::Tensor* dweight,
                                           bool want_dx);
[[nodiscard]] at::Tensor rotary(const Queue& queue, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                                bool inverse);
[[nodiscard]] at::Tensor swiglu(const Queue& queue, const at::Tensor& gate, const at::Tensor& up);
void swiglu_backward_(const Queue& queue, const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up);
/// The loss of each row [N]; the caller adds up.
[[nodiscard]] at::Tensor cross_entropy(const Queue& queue, const at::Tensor& logits, const at::Tensor& targets,
                                       const kernels::CrossEntropy& options);
/// Waits for the result.
[[nodiscard]] double sum_of_squares(const Queue& queue, const at::Tensor& x);
void adamw(const Queue& queue, const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step);
/// @param dtype kFloat or kBFloat16
[[nodiscard]] at::Tensor open(const Queue& queue, const QuantizedWeight& weight, at::ScalarType dtype);
[[nodiscard]] at::Tensor dropout(const Queue& queue, const at::Tensor& x, const kernels::DropoutDraw& draw);

}  // namespace lathe::ops::cuda
