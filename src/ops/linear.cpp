#include "ops/linear.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/check.h"
#include "ops/product.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kWidenedAtOnce = int64_t{1} << 21;  // elements

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(weight, ({kAny, x.size(1)}), x.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "x W^T", weight.size(0), weight.size(1));
  if (!bias.defined()) return product(x, weight.t());
  LATHE_EXPECT(bias, ({weight.size(0)}), x.scalar_type());
  if (widens(x)) {
    const at::Tensor y = bias.repeat({x.size(0), 1});
    product_into(y, x, weight.t(), true);
    return y;
  }
  if (!fits_tiles(x, weight.t())) return at::linear(x, weight, bias);
  const at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  tiled_product_into(y, x, weight.t(), false, bias);
  return y;
}

void linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx) {
  LATHE_EXPECT(dy, ({kAny, kAny}));
  LATHE_EXPECT(weight, ({dy.size(1), kAny}), dy.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "dy W", weight.size(0), weight.size(1));
  if (!dx.defined()) {
    dx = product(dy, weight);
    return;
  }
  LATHE_EXPECT(dx, ({dy.size(0), weight.size(1)}), dy.scalar_type());
  product_into(dx, dy, weight, true);
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

void add_low_rank(at::Tensor& y, const at::Tensor& a_x, const at::Tensor& b) {
  LATHE_EXPECT(y, ({kAny, kAny}));
  LATHE_EXPECT(a_x, ({y.size(0), kAny}), y.scalar_type());
  LATHE_EXPECT(b, ({y.size(1), a_x.size(1)}), y.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "y += a_x B^T", b.size(0), b.size(1));
  product_into(y, a_x, b.t(), true);
}

}  // namespace lathe::ops
