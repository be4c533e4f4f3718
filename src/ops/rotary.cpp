#include "ops/rotary.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "kernels/rotary.h"
#include "ops/check.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table, bool inverse) {
  LATHE_EXPECT(x, ({kAny, kAny, kAny}));
  const int64_t tokens = x.size(0), heads = x.size(1), dim = x.size(2), width = heads * dim;
  LATHE_EXPECT(table.cos, ({tokens, dim / 2}), at::kFloat);
  LATHE_EXPECT(table.sin, ({tokens, dim / 2}), at::kFloat);
  const ProfileScope profiled(ProfileKind::kOp, "rotary");
  const at::Tensor in = x.contiguous();
  if (in.is_cuda()) return cuda::rotary(cuda::queue_of(in), in, table.cos, table.sin, inverse);
  at::Tensor y = at::empty_like(in);
  with_elements(in, [&](auto element) {
    using T = decltype(element);
    const int64_t tokens_a_task = std::max<int64_t>(1, kElementsATask / width);
    at::parallel_for(0, tokens, tokens_a_task, [&](int64_t begin, int64_t end) {
      T* to = mutable_elements<T>(y) + begin * width;
      const auto bytes = static_cast<size_t>((end - begin) * width) * sizeof(T);
      std::memcpy(to, elements<T>(in) + begin * width, bytes);
      kernels::rotary(to, elements<float>(table.cos) + begin * dim / 2, elements<float>(table.sin) + begin * dim / 2,
                      end - begin, heads, dim, inverse);
    });
  });
  return y;
}

}  // namespace

RotaryTable rotary_table(const at::Tensor& positions, const at::Tensor& inverse_frequencies, double scaling,
                         at::ScalarType dtype) {
  LATHE_EXPECT(positions, ({kAny}));
  LATHE_EXPECT(inverse_frequencies, ({kAny}), at::kFloat);
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(1) * inverse_frequencies;
  return {at::cos(angles).mul_(scaling).to(dtype).to(at::kFloat),
          at::sin(angles).mul_(scaling).to(dtype).to(at::kFloat)};
}

at::Tensor rotary(const at::Tensor& x, const RotaryTable& table) {
  return rotate(x, table, false);
}

at::Tensor rotary_backward(const at::Tensor& dy, const RotaryTable& table) {
  return rotate(dy, table, true);
}

}  // namespace lathe::ops
