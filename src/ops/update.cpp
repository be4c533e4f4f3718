#include "ops/update.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/sum_of_squares.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {

double sum_of_squares(const at::Tensor& x) {
  LATHE_ASSERT(x.is_contiguous());
  const ProfileScope profiled(ProfileKind::kOp, "sum_of_squares");
  if (x.is_cuda()) return cuda::sum_of_squares(cuda::queue_of(x), x);
  const int64_t count = x.numel();
  std::vector<double> parts(static_cast<size_t>((count + kElementsATask - 1) / kElementsATask));
  with_elements(x, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) {
        const int64_t begin = part * kElementsATask;
        parts[static_cast<size_t>(part)] =
            kernels::sum_of_squares(elements<T>(x) + begin, std::min(kElementsATask, count - begin));
      }
    });
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

void adamw(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
           const at::Tensor& exp_avg_sq, const kernels::AdamWStep& step) {
  for (const at::Tensor* tensor : {&parameter, &gradient, &exp_avg, &exp_avg_sq}) {
    LATHE_ASSERT(tensor->is_contiguous() && tensor->scalar_type() == at::kFloat &&
                 tensor->numel() == parameter.numel());
  }
  const ProfileScope profiled(ProfileKind::kOp, "adamw");
  if (parameter.is_cuda()) {
    cuda::adamw(cuda::queue_of(parameter), parameter, gradient, exp_avg, exp_avg_sq, step);
    return;
  }
  at::parallel_for(0, parameter.numel(), kElementsATask, [&](int64_t begin, int64_t end) {
    kernels::adamw(mutable_elements<float>(parameter) + begin, elements<float>(gradient) + begin,
                   mutable_elements<float>(exp_avg) + begin, mutable_elements<float>(exp_avg_sq) + begin, end - begin,
                   step);
  });
}

}  // namespace lathe::ops
