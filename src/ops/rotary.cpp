#include "ops/rotary.h"

#include <ATen/ATen.h>

#include "ops/check.h"

namespace lathe::ops {
namespace {

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table, bool forward) {
  const int64_t half = x.size(2) / 2;
  LATHE_EXPECT(table.cos, ({x.size(0), half}), x.scalar_type());
  LATHE_EXPECT(table.sin, ({x.size(0), half}), x.scalar_type());
  const at::Tensor cos = table.cos.unsqueeze(1), sin = table.sin.unsqueeze(1);
  const at::Tensor low = x.narrow(2, 0, half), high = x.narrow(2, half, half);
  at::Tensor y = at::empty(x.sizes(), x.options());
  at::Tensor y_low = y.narrow(2, 0, half), y_high = y.narrow(2, half, half);
  at::mul_out(y_low, low, cos);
  at::mul_out(y_high, high, cos);
  if (forward) {
    y_low.sub_(high * sin);
    y_high.add_(low * sin);
  } else {
    y_low.add_(high * sin);
    y_high.sub_(low * sin);
  }
  return y;
}

}  // namespace

RotaryTable rotary_table(const at::Tensor& positions, const at::Tensor& inverse_frequencies, double scaling,
                         at::ScalarType dtype) {
  LATHE_EXPECT(positions, ({kAny}));
  LATHE_EXPECT(inverse_frequencies, ({kAny}), at::kFloat);
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(1) * inverse_frequencies;
  return {at::cos(angles).mul_(scaling).to(dtype), at::sin(angles).mul_(scaling).to(dtype)};
}

at::Tensor rotary(const at::Tensor& x, const RotaryTable& table) {
  LATHE_EXPECT(x, ({kAny, kAny, kAny}));
  return rotate(x, table, true);
}

at::Tensor rotary_backward(const at::Tensor& dy, const RotaryTable& table) {
  LATHE_EXPECT(dy, ({kAny, kAny, kAny}));
  return rotate(dy, table, false);
}

}  // namespace lathe::ops
