#include "ops/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>

#include "kernels/dropout.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

constexpr int64_t kBlocksATask = 256;

kernels::DropoutDraw draw_of(const DropoutMask& mask) {
  return {.key = {static_cast<uint32_t>(mask.seed), static_cast<uint32_t>(mask.seed >> 32)},
          .rest = {static_cast<uint32_t>(mask.site) << 8 | static_cast<uint32_t>(mask.layer) << 16, mask.step,
                   mask.micro_batch},
          .threshold = static_cast<uint32_t>(std::lround(mask.probability * 65536)),
          .scale = static_cast<float>(1.0 / (1.0 - mask.probability))};
}

}  // namespace

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  LATHE_ASSERT(x.is_contiguous() && x.numel() < (int64_t{1} << 42));
  LATHE_ASSERT(mask.probability >= 0 && mask.probability < 1);
  const ProfileScope profiled(ProfileKind::kOp, "dropout");
  const kernels::DropoutDraw draw = draw_of(mask);
  if (x.is_cuda()) return cuda::dropout(cuda::queue_of(x), x, draw);
  at::Tensor y = at::empty_like(x);
  const int64_t count = x.numel(), blocks = (count + kernels::kDropoutBlock - 1) / kernels::kDropoutBlock;
  with_elements(x, [&](auto element) {
    using T = decltype(element);
    const T* from = elements<T>(x);
    T* to = mutable_elements<T>(y);
    at::parallel_for(0, blocks, kBlocksATask, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kernels::kDropoutBlock;
      kernels::dropout(from + first, to + first, first, std::min(count, end * kernels::kDropoutBlock) - first, draw);
    });
  });
  return y;
}

}  // namespace lathe::ops
