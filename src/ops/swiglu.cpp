#include "ops/swiglu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/swiglu.h"
#include "ops/check.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  LATHE_EXPECT(gate, ({kAny, kAny}));
  LATHE_EXPECT(up, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "swiglu");
  const at::Tensor g = gate.contiguous(), u = up.contiguous();
  if (g.is_cuda()) return cuda::swiglu(cuda::queue_of(g), g, u);
  at::Tensor y = at::empty_like(g);
  with_elements(g, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, g.numel(), kElementsATask, [&](int64_t begin, int64_t end) {
      kernels::swiglu(elements<T>(g) + begin, elements<T>(u) + begin, mutable_elements<T>(y) + begin, end - begin);
    });
  });
  return y;
}

void swiglu_backward_(at::Tensor& dy, at::Tensor& gate, at::Tensor& up) {
  LATHE_EXPECT(gate, ({kAny, kAny}));
  LATHE_EXPECT(up, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  LATHE_EXPECT(dy, ({gate.size(0), gate.size(1)}), gate.scalar_type());
  LATHE_ASSERT(dy.is_contiguous() && gate.is_contiguous() && up.is_contiguous());
  const ProfileScope profiled(ProfileKind::kOp, "swiglu backward");
  if (gate.is_cuda()) {
    cuda::swiglu_backward_(cuda::queue_of(gate), dy, gate, up);
    return;
  }
  with_elements(gate, [&](auto element) {
    using T = decltype(element);
    T *d = mutable_elements<T>(dy), *g = mutable_elements<T>(gate), *u = mutable_elements<T>(up);
    at::parallel_for(0, gate.numel(), kElementsATask, [&](int64_t begin, int64_t end) {
      kernels::swiglu_backward(d + begin, g + begin, u + begin, end - begin);
    });
  });
}

}  // namespace lathe::ops
