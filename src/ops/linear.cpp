#include "ops/linear.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/check.h"
#include "ops/product.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kWidenedAtOnce = int64_t{1} << 21;  // elements

bool all_own(const at::Tensor& a, const at::Tensor& b, const Factors& adapter) {
  return is_own(a, b) && (!adapter.defined() || is_own(adapter.a, adapter.b));
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Factors& adapter) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(weight, ({kAny, x.size(1)}), x.scalar_type());
  if (bias.defined()) LATHE_EXPECT(bias, ({weight.size(0)}), x.scalar_type());
  if (all_own(x, weight.t(), adapter)) {
    const ProfileScope profiled(ProfileKind::kOp, adapter.defined() ? "x W^T + a_x B^T" : "x W^T", weight.size(0),
                                weight.size(1));
    at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
    own_product_into(y, x, weight.t(), {.bias = bias, .factors = adapter});
    return y;
  }
  at::Tensor y;
  {
    const ProfileScope profiled(ProfileKind::kOp, "x W^T", weight.size(0), weight.size(1));
    y = bias.defined() ? at::linear(x, weight, bias) : product(x, weight.t());
  }
  add_factors(y, adapter);
  return y;
}

void linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx, const Factors& adapter) {
  LATHE_EXPECT(dy, ({kAny, kAny}));
  LATHE_EXPECT(weight, ({dy.size(1), kAny}), dy.scalar_type());
  const bool fresh = !dx.defined();
  if (fresh) dx = at::empty({dy.size(0), weight.size(1)}, dy.options());
  LATHE_EXPECT(dx, ({dy.size(0), weight.size(1)}), dy.scalar_type());
  if (dx.stride(1) == 1 && all_own(dy, weight, adapter)) {
    const ProfileScope profiled(ProfileKind::kOp, adapter.defined() ? "dy W + da_x A" : "dy W", weight.size(0),
                                weight.size(1));
    return own_product_into(dx, dy, weight, {.y = !fresh, .factors = adapter});
  }
  {
    const ProfileScope profiled(ProfileKind::kOp, "dy W", weight.size(0), weight.size(1));
    product_into(dx, dy, weight, !fresh);
  }
  add_factors(dx, adapter);
}

at::Tensor linear_weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(dy, ({x.size(0), kAny}), x.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "dy^T x", dy.size(1), x.size(1));
  return product(dy.t(), x);
}

void linear_weight_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& into, bool add) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(dy, ({x.size(0), kAny}), x.scalar_type());
  LATHE_EXPECT(into, ({dy.size(1), x.size(1)}));
  const ProfileScope profiled(ProfileKind::kOp, "dy^T x", dy.size(1), x.size(1));
  at::Tensor place = into;
  if (into.scalar_type() == x.scalar_type()) return product_into(place, dy.t(), x, add);
  // A product comes out in the type of its factors: some rows at a time, while they are in the cache.
  const int64_t out = into.size(0), step = std::max<int64_t>(1, kWidenedAtOnce / into.size(1));
  for (int64_t begin = 0; begin < out; begin += step) {
    const int64_t rows = std::min(step, out - begin);
    const at::Tensor rounded = product(dy.narrow(1, begin, rows).t(), x);
    at::Tensor part = place.narrow(0, begin, rows);
    if (add) {
      part.add_(rounded);
    } else {
      part.copy_(rounded);
    }
  }
}

at::Tensor linear_bias_gradient(const at::Tensor& dy) {
  LATHE_EXPECT(dy, ({kAny, kAny}));
  return at::sum(dy, 0, false, at::kFloat);
}

void add_factors(const at::Tensor& y, const Factors& adapter) {
  if (!adapter.defined()) return;
  LATHE_EXPECT(y, ({kAny, kAny}));
  LATHE_EXPECT(adapter.a, ({y.size(0), kAny}), y.scalar_type());
  LATHE_EXPECT(adapter.b, ({adapter.a.size(1), y.size(1)}), y.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "y += a b", adapter.b.size(0), adapter.b.size(1));
  product_into(y, adapter.a, adapter.b, true);
}

}  // namespace lathe::ops
