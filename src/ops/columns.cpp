#include "ops/columns.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/check.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kElementsAtOnce = int64_t{1} << 18;  // that are fp32 at a time

/// Calls body(first row, rows) for pieces of x.
template <typename Body>
void by_rows(const at::Tensor& x, const Body& body) {
  const int64_t step = std::max<int64_t>(1, kElementsAtOnce / x.size(1));
  for (int64_t begin = 0; begin < x.size(0); begin += step) body(begin, std::min(step, x.size(0) - begin));
}

}  // namespace

at::Tensor scale_columns(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& bias) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(scale, ({x.size(1)}), at::kFloat);
  if (bias.defined()) LATHE_EXPECT(bias, ({x.size(1)}), x.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "scale columns", x.size(1));
  const at::Tensor wide_bias = bias.defined() ? bias.to(at::kFloat) : bias;
  at::Tensor y = at::empty_like(x);
  by_rows(x, [&](int64_t begin, int64_t rows) {
    at::Tensor piece = x.narrow(0, begin, rows).to(at::kFloat).mul(scale);
    if (bias.defined()) piece.add_(wide_bias);
    y.narrow(0, begin, rows).copy_(piece);
  });
  return y;
}

at::Tensor column_dots(const at::Tensor& x, const at::Tensor& y) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(y, ({x.size(0), x.size(1)}), x.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "column dots", x.size(1));
  at::Tensor sums = at::zeros({x.size(1)}, x.options().dtype(at::kFloat));
  by_rows(x, [&](int64_t begin, int64_t rows) {
    const at::Tensor wide = x.narrow(0, begin, rows).to(at::kFloat);
    sums.add_(at::sum(wide * y.narrow(0, begin, rows), 0));
  });
  return sums;
}

}  // namespace lathe::ops
