#include "ops/swiglu.h"

#include <ATen/ATen.h>

#include "ops/check.h"

namespace lathe::ops {

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  LATHE_EXPECT(gate, ({kAny, kAny}));
  LATHE_EXPECT(up, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  return at::silu(gate).mul_(up);
}

std::pair<at::Tensor, at::Tensor> swiglu_backward(const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up) {
  LATHE_EXPECT(gate, ({kAny, kAny}));
  LATHE_EXPECT(up, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  LATHE_EXPECT(dy, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  at::Tensor dup = at::silu(gate).mul_(dy);
  at::Tensor dgate = at::silu_backward(dy * up, gate);
  return {std::move(dgate), std::move(dup)};
}

}  // namespace lathe::ops
