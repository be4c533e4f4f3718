#include "kernels/rms_norm.h"

#include <cmath>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rms_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

template <typename T>
void rms_norm_forward_rows(const T* x, const T* weight, T* y, float* rstd, int64_t rows, int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    const float squares = sum_of(width, [&](int64_t i, auto part) HWY_ATTR {
      const V v = load(x + i, part);
      return hn::Mul(v, v);
    });
    const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
    if (rstd != nullptr) rstd[row] = scale;
    const V scales = hn::Set(D(), scale);
    for_each_vector(width, [&](int64_t i, auto part) HWY_ATTR {
      const V scaled = round_to<T>(hn::Mul(load(x + i, part), scales));
      store(hn::Mul(scaled, load(weight + i, part)), y + i, part);
    });
  }
}

template <typename T>
void rms_norm_backward_rows(const T* dy, const T* x, const T* weight, const float* rstd, T* dx, float* dweight,
                            int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row, x += width, dy += width) {
    const V scale = hn::Set(D(), rstd[row]);
    if (dweight != nullptr) {
      for_each_vector(width, [&](int64_t i, auto part) HWY_ATTR {
        const V scaled = round_to<T>(hn::Mul(load(x + i, part), scale));
        store(hn::MulAdd(load(dy + i, part), scaled, load(dweight + i, part)), dweight + i, part);
      });
    }
    if (dx == nullptr) continue;
    const float along = sum_of(width, [&](int64_t i, auto part) HWY_ATTR {
      const V dscaled = round_to<T>(hn::Mul(load(dy + i, part), load(weight + i, part)));
      return hn::Mul(dscaled, hn::Mul(load(x + i, part), scale));
    });
    const V mean = hn::Set(D(), along / static_cast<float>(width));
    T* const out = dx + row * width;
    for_each_vector(width, [&](int64_t i, auto part) HWY_ATTR {
      const V dscaled = round_to<T>(hn::Mul(load(dy + i, part), load(weight + i, part)));
      const V scaled = hn::Mul(load(x + i, part), scale);
      store(hn::Mul(hn::NegMulAdd(scaled, mean, dscaled), scale), out + i, part);
    });
  }
}

void rms_norm_forward_f32(const float* x, const float* weight, float* y, float* rstd, int64_t rows, int64_t width,
                          float epsilon) {
  rms_norm_forward_rows(x, weight, y, rstd, rows, width, epsilon);
}
void rms_norm_forward_bf16(const Bf16* x, const Bf16* weight, Bf16* y, float* rstd, int64_t rows, int64_t width,
                           float epsilon) {
  rms_norm_forward_rows(x, weight, y, rstd, rows, width, epsilon);
}
void rms_norm_forward_f16(const F16* x, const F16* weight, F16* y, float* rstd, int64_t rows, int64_t width,
                          float epsilon) {
  rms_norm_forward_rows(x, weight, y, rstd, rows, width, epsilon);
}
void rms_norm_backward_f32(const float* dy, const float* x, const float* weight, const float* rstd, float* dx,
                           float* dweight, int64_t rows, int64_t width) {
  rms_norm_backward_rows(dy, x, weight, rstd, dx, dweight, rows, width);
}
void rms_norm_backward_bf16(const Bf16* dy, const Bf16* x, const Bf16* weight, const float* rstd, Bf16* dx,
                            float* dweight, int64_t rows, int64_t width) {
  rms_norm_backward_rows(dy, x, weight, rstd, dx, dweight, rows, width);
}
void rms_norm_backward_f16(const F16* dy, const F16* x, const F16* weight, const float* rstd, F16* dx, float* dweight,
                           int64_t rows, int64_t width) {
  rms_norm_backward_rows(dy, x, weight, rstd, dx, dweight, rows, width);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(rms_norm_forward_f32);
HWY_EXPORT(rms_norm_forward_bf16);
HWY_EXPORT(rms_norm_forward_f16);
HWY_EXPORT(rms_norm_backward_f32);
HWY_EXPORT(rms_norm_backward_bf16);
HWY_EXPORT(rms_norm_backward_f16);

void rms_norm(const float* x, const float* weight, float* y, float* rstd, int64_t rows, int64_t width, float epsilon) {
  HWY_DYNAMIC_DISPATCH(rms_norm_forward_f32)(x, weight, y, rstd, rows, width, epsilon);
}

void rms_norm(const Bf16* x, const Bf16* weight, Bf16* y, float* rstd, int64_t rows, int64_t width, float epsilon) {
  HWY_DYNAMIC_DISPATCH(rms_norm_forward_bf16)(x, weight, y, rstd, rows, width, epsilon);
}

void rms_norm(const F16* x, const F16* weight, F16* y, float* rstd, int64_t rows, int64_t width, float epsilon) {
  HWY_DYNAMIC_DISPATCH(rms_norm_forward_f16)(x, weight, y, rstd, rows, width, epsilon);
}

void rms_norm_backward(const float* dy, const float* x, const float* weight, const float* rstd, float* dx,
                       float* dweight, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_f32)(dy, x, weight, rstd, dx, dweight, rows, width);
}

void rms_norm_backward(const Bf16* dy, const Bf16* x, const Bf16* weight, const float* rstd, Bf16* dx, float* dweight,
                       int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_bf16)(dy, x, weight, rstd, dx, dweight, rows, width);
}

void rms_norm_backward(const F16* dy, const F16* x, const F16* weight, const float* rstd, F16* dx, float* dweight,
                       int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_f16)(dy, x, weight, rstd, dx, dweight, rows, width);
}

}  // namespace lathe::kernels
#endif
