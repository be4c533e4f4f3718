#include "kernels/swiglu.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/swiglu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

/// 1 / (1 + e^-g). In fp32 as exact as the division; for bf16 within 2^-18, far below its rounding, with a shorter
/// series. There g beyond ±87 counts as ±87; infinity and NaN reach silu through the product with g.
template <typename T>
HWY_INLINE V sigmoid_of(V g) {
  const D d;
  const V one = hn::Set(d, 1.0F);
  if constexpr (!std::is_same_v<T, Bf16>) return hn::Div(one, hn::Add(one, exp(hn::Neg(g))));
  const V t = hn::Min(hn::Max(hn::Mul(g, hn::Set(d, -1.44269504F)), hn::Set(d, -126.0F)), hn::Set(d, 126.0F));
  const V n = hn::Round(t), f = hn::Sub(t, n);
  // 2^f on [-1/2, 1/2], minimax with a relative error of 2.8e-6.
  V p = hn::Set(d, 9.58286207e-3F);
  p = hn::MulAdd(p, f, hn::Set(d, 5.59064633e-2F));
  p = hn::MulAdd(p, f, hn::Set(d, 2.40240987e-1F));
  p = hn::MulAdd(p, f, hn::Set(d, 6.93124189e-1F));
  p = hn::MulAdd(p, f, one);
  const V power = hn::BitCast(d, hn::Add(hn::BitCast(DI(), p), hn::ShiftLeft<23>(hn::ConvertTo(DI(), n))));
  return hn::Div(one, hn::Add(one, power));
}

template <typename T>
void swiglu_forward_range(const T* gate, const T* up, T* y, int64_t count) {
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V g = load(gate + i, part);
    store(hn::Mul(round_to<T>(hn::Mul(g, sigmoid_of<T>(g))), load(up + i, part)), y + i, part);
  });
}

template <typename T>
void swiglu_backward_range(T* dy, T* gate, T* up, int64_t count) {
  const V one = hn::Set(D(), 1.0F);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V d = load(dy + i, part), g = load(gate + i, part), u = load(up + i, part);
    const V sigmoid = sigmoid_of<T>(g), silu = round_to<T>(hn::Mul(g, sigmoid));
    const V slope = hn::Mul(sigmoid, hn::MulAdd(g, hn::Sub(one, sigmoid), one));
    store(hn::Mul(round_to<T>(hn::Mul(d, u)), slope), gate + i, part);
    store(hn::Mul(d, silu), up + i, part);
    store(hn::Mul(silu, u), dy + i, part);
  });
}

void swiglu_forward_f32(const float* gate, const float* up, float* y, int64_t count) {
  swiglu_forward_range(gate, up, y, count);
}
void swiglu_forward_bf16(const Bf16* gate, const Bf16* up, Bf16* y, int64_t count) {
  swiglu_forward_range(gate, up, y, count);
}
void swiglu_forward_f16(const F16* gate, const F16* up, F16* y, int64_t count) {
  swiglu_forward_range(gate, up, y, count);
}
void swiglu_backward_f32(float* dy, float* gate, float* up, int64_t count) {
  swiglu_backward_range(dy, gate, up, count);
}
void swiglu_backward_bf16(Bf16* dy, Bf16* gate, Bf16* up, int64_t count) {
  swiglu_backward_range(dy, gate, up, count);
}
void swiglu_backward_f16(F16* dy, F16* gate, F16* up, int64_t count) {
  swiglu_backward_range(dy, gate, up, count);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(swiglu_forward_f32);
HWY_EXPORT(swiglu_forward_bf16);
HWY_EXPORT(swiglu_forward_f16);
HWY_EXPORT(swiglu_backward_f32);
HWY_EXPORT(swiglu_backward_bf16);
HWY_EXPORT(swiglu_backward_f16);

void swiglu(const float* gate, const float* up, float* y, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_forward_f32)(gate, up, y, count);
}

void swiglu(const Bf16* gate, const Bf16* up, Bf16* y, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_forward_bf16)(gate, up, y, count);
}

void swiglu(const F16* gate, const F16* up, F16* y, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_forward_f16)(gate, up, y, count);
}

void swiglu_backward(float* dy, float* gate, float* up, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward_f32)(dy, gate, up, count);
}

void swiglu_backward(Bf16* dy, Bf16* gate, Bf16* up, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward_bf16)(dy, gate, up, count);
}

void swiglu_backward(F16* dy, F16* gate, F16* up, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward_f16)(dy, gate, up, count);
}

}  // namespace lathe::kernels
#endif
