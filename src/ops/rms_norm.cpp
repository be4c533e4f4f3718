#include "ops/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/rms_norm.h"
#include "ops/check.h"
#include "ops/cuda_kernels.h"
#include "ops/elements.h"
#include "ops/profile.h"

namespace lathe::ops {
namespace {

// Rows that are added up together into one part of dweight: the parts do not depend on the number of threads.
constexpr int64_t kRowsAPart = 64;

int64_t rows_a_task(int64_t width) {
  return std::max<int64_t>(1, kElementsATask / width);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor* rstd) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(weight, ({x.size(1)}), x.scalar_type());
  const ProfileScope profiled(ProfileKind::kOp, "rms_norm");
  const at::Tensor in = x.contiguous(), scale = weight.contiguous();
  if (in.is_cuda()) return cuda::rms_norm(cuda::queue_of(in), in, scale, eps, rstd);
  const int64_t rows = in.size(0), width = in.size(1);
  at::Tensor y = at::empty_like(in);
  if (rstd != nullptr) *rstd = at::empty({rows}, in.options().dtype(at::kFloat));
  float* kept = rstd == nullptr ? nullptr : mutable_elements<float>(*rstd);
  with_elements(in, [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, rows, rows_a_task(width), [&](int64_t begin, int64_t end) {
      kernels::rms_norm(elements<T>(in) + begin * width, elements<T>(scale), mutable_elements<T>(y) + begin * width,
                        kept == nullptr ? nullptr : kept + begin, end - begin, width, static_cast<float>(eps));
    });
  });
  return y;
}

at::Tensor rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& rstd, at::Tensor* dweight, bool want_dx) {
  LATHE_EXPECT(x, ({kAny, kAny}));
  LATHE_EXPECT(dy, ({x.size(0), x.size(1)}), x.scalar_type());
  LATHE_EXPECT(weight, ({x.size(1)}), x.scalar_type());
  LATHE_EXPECT(rstd, ({x.size(0)}), at::kFloat);
  const ProfileScope profiled(ProfileKind::kOp, "rms_norm backward");
  const at::Tensor in = x.contiguous(), from = dy.contiguous(), scale = weight.contiguous();
  if (in.is_cuda()) return cuda::rms_norm_backward(cuda::queue_of(in), from, in, scale, rstd, dweight, want_dx);
  const int64_t rows = in.size(0), width = in.size(1), num_parts = (rows + kRowsAPart - 1) / kRowsAPart;
  at::Tensor dx = want_dx ? at::empty_like(in) : at::Tensor();
  const at::Tensor sums =
      dweight == nullptr ? at::Tensor() : at::zeros({num_parts, width}, in.options().dtype(at::kFloat));
  with_elements(in, [&](auto element) {
    using T = decltype(element);
    const int64_t parts_a_task = std::max<int64_t>(1, rows_a_task(width) / kRowsAPart);
    at::parallel_for(0, num_parts, parts_a_task, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) {
        const int64_t row = part * kRowsAPart, at = row * width;
        kernels::rms_norm_backward(elements<T>(from) + at, elements<T>(in) + at, elements<T>(scale),
                                   elements<float>(rstd) + row, want_dx ? mutable_elements<T>(dx) + at : nullptr,
                                   dweight == nullptr ? nullptr : mutable_elements<float>(sums) + part * width,
                                   std::min(kRowsAPart, rows - row), width);
      }
    });
  });
  if (dweight != nullptr) *dweight = at::sum(sums, 0);
  return dx;
}

}  // namespace lathe::ops
