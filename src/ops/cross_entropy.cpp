#include "ops/cross_entropy.h"

#include <ATen/ATen.h>

#include "ops/check.h"

namespace lathe::ops {

double cross_entropy(at::Tensor& logits, const at::Tensor& targets, double label_smoothing,
                     std::optional<double> gradient_scale) {
  LATHE_EXPECT(logits, ({kAny, kAny}));
  LATHE_EXPECT(targets, ({logits.size(0)}), at::kLong);
  const int64_t vocabulary = logits.size(1);
  const at::Tensor index = targets.unsqueeze(1);
  at::Tensor log_p = at::log_softmax(logits, 1, at::kFloat);
  double loss = -(1 - label_smoothing) * at::sum(log_p.gather(1, index), at::kDouble).item<double>();
  if (label_smoothing != 0) {
    loss -= label_smoothing * at::sum(log_p.sum(1), at::kDouble).item<double>() / static_cast<double>(vocabulary);
  }
  if (!gradient_scale) return loss;
  at::Tensor gradient = log_p.exp_();
  if (label_smoothing != 0) gradient.sub_(label_smoothing / static_cast<double>(vocabulary));
  gradient.scatter_add_(1, index, at::full_like(index, -(1 - label_smoothing), gradient.options()));
  logits.copy_(gradient.mul_(*gradient_scale));
  return loss;
}

}  // namespace lathe::ops
