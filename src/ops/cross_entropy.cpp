#include "ops/cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/cross_entropy.h"
#include "ops/check.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {

double cross_entropy(at::Tensor& logits, const at::Tensor& targets, double label_smoothing,
                     std::optional<double> gradient_scale) {
  LATHE_EXPECT(logits, ({kAny, kAny}));
  LATHE_EXPECT(targets, ({logits.size(0)}), at::kLong);
  LATHE_ASSERT(logits.is_contiguous() && targets.is_contiguous());
  const int64_t rows = logits.size(0), vocabulary = logits.size(1);
  const ProfileScope profiled(ProfileKind::kOp, "cross_entropy");
  const kernels::CrossEntropy options{.label_smoothing = label_smoothing,
                                      .gradient = gradient_scale.has_value(),
                                      .gradient_scale = gradient_scale.value_or(1)};
  if (logits.is_cuda()) {
    return at::sum(cuda::cross_entropy(cuda::queue_of(logits), logits, targets, options), at::kDouble).item<double>();
  }
  const at::Tensor losses = at::empty({rows}, at::dtype(at::kFloat));
  with_elements(logits, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
      kernels::cross_entropy(mutable_elements<T>(logits) + begin * vocabulary, elements<int64_t>(targets) + begin,
                             mutable_elements<float>(losses) + begin, end - begin, vocabulary, options);
    });
  });
  return at::sum(losses, at::kDouble).item<double>();
}

}  // namespace lathe::ops
