#include "ops/rms_norm.h"

#include <ATen/ATen.h>

#include "ops/check.h"

namespace lathe::ops {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor* rstd) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(weight, ({x.size(1)}), x.scalar_type());
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(at::mean(at::square(wide), 1, true) + eps);
  if (rstd != nullptr) *rstd = scale.view({-1});
  return (wide * scale).to(x.scalar_type()).mul_(weight);
}

at::Tensor rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& rstd, at::Tensor* dweight, bool want_dx) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(dy, ({x.size(0), x.size(1)}), x.scalar_type());
  LATHE_EXPECT(weight, ({x.size(1)}), x.scalar_type());
  LATHE_EXPECT(rstd, ({x.size(0)}), at::kFloat);
  const at::Tensor scale = rstd.view({-1, 1});
  const at::Tensor normed = x.to(at::kFloat).mul_(scale);
  if (dweight != nullptr) *dweight = at::sum(dy.to(at::kFloat) * normed.to(x.scalar_type()), 0);
  if (!want_dx) return {};
  at::Tensor dnormed = (dy * weight).to(at::kFloat);
  const at::Tensor along = at::mean(dnormed * normed, 1, true);
  return dnormed.sub(normed * along).mul_(scale).to(x.scalar_type());
}

}  // namespace lathe::ops
