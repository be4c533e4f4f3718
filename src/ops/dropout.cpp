#include "ops/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace lathe::ops {
namespace {

template <typename T>
void drop(const T* x, T* y, int64_t count, const DropoutMask& mask) {
  const PhiloxKey key = {static_cast<uint32_t>(mask.seed), static_cast<uint32_t>(mask.seed >> 32)};
  const auto threshold = static_cast<uint64_t>(std::llround(std::ldexp(mask.probability, 32)));
  const auto scale = static_cast<float>(1.0 / (1.0 - mask.probability));
  at::parallel_for(0, (count + 3) / 4, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const auto place = static_cast<uint64_t>(group);
      const PhiloxCounter draws =
          philox4x32({static_cast<uint32_t>(place),
                      static_cast<uint32_t>(place >> 32) | static_cast<uint32_t>(mask.site) << 8 |
                          static_cast<uint32_t>(mask.layer) << 16,
                      mask.step, mask.micro_batch},
                     key);
      const int64_t first = group * 4, last = std::min(count, first + 4);
      for (int64_t i = first; i < last; ++i) {
        const bool keep = draws[static_cast<size_t>(i - first)] >= threshold;
        y[i] = keep ? static_cast<T>(static_cast<float>(x[i]) * scale) : static_cast<T>(0.0F);
      }
    }
  });
}

}  // namespace

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  LATHE_ASSERT(x.is_contiguous() && x.numel() < (int64_t{1} << 42));
  LATHE_ASSERT(mask.probability >= 0 && mask.probability < 1);
  at::Tensor y = at::empty_like(x);
  if (x.scalar_type() == at::kFloat) {
    drop(x.const_data_ptr<float>(), y.mutable_data_ptr<float>(), x.numel(), mask);
  } else {
    LATHE_ASSERT(x.scalar_type() == at::kBFloat16);
    drop(x.const_data_ptr<at::BFloat16>(), y.mutable_data_ptr<at::BFloat16>(), x.numel(), mask);
  }
  return y;
}

}  // namespace lathe::ops
