#include "ops/swiglu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/swiglu.h"
#include "ops/check.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  LATHE_EXPECT(gate, ({kAny, kAny}));
  LATHE_EXPECT(up, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "swiglu");
  const at::Tensor g = gate.contiguous(), u = up.contiguous();
  at::Tensor y = at::empty_like(g);
  with_elements(g, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, g.numel(), kElementsATask, [&](int64_t begin, int64_t end) {
      kernels::swiglu(elements<T>(g) + begin, elements<T>(u) + begin, mutable_elements<T>(y) + begin, end - begin);
    });
  });
  return y;
}

std::pair<at::Tensor, at::Tensor> swiglu_backward(const at::Tensor& dy, const at::Tensor& gate, const at::Tensor& up) {
  LATHE_EXPECT(gate, ({kAny, kAny}));
  LATHE_EXPECT(up, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  LATHE_EXPECT(dy, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "swiglu backward");
  const at::Tensor d = dy.contiguous(), g = gate.contiguous(), u = up.contiguous();
  at::Tensor dgate = at::empty_like(g), dup = at::empty_like(g);
  with_elements(g, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, g.numel(), kElementsATask, [&](int64_t begin, int64_t end) {
      kernels::swiglu_backward(elements<T>(d) + begin, elements<T>(g) + begin, elements<T>(u) + begin,
                               mutable_elements<T>(dgate) + begin, mutable_elements<T>(dup) + begin, end - begin);
    });
  });
  return {std::move(dgate), std::move(dup)};
}

}  // namespace lathe::ops
