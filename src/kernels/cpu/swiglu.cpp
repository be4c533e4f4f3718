#include "kernels/swiglu.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/swiglu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

template <typename T>
void swiglu_forward_range(const T* gate, const T* up, T* y, int64_t count) {
  const V one = hn::Set(D(), 1.0F);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V g = load(gate + i, part);
    const V silu = hn::Div(g, hn::Add(one, exp(hn::Neg(g))));
    store(hn::Mul(round_to<T>(silu), load(up + i, part)), y + i, part);
  });
}

template <typename T>
void swiglu_backward_range(const T* dy, const T* gate, const T* up, T* dgate, T* dup, int64_t count) {
  const V one = hn::Set(D(), 1.0F);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V d = load(dy + i, part), g = load(gate + i, part);
    const V denominator = hn::Add(one, exp(hn::Neg(g)));
    const V sigmoid = hn::Div(one, denominator);
    const V silu = round_to<T>(hn::Div(g, denominator));
    const V dsilu = round_to<T>(hn::Mul(d, load(up + i, part)));
    const V slope = hn::Mul(sigmoid, hn::Add(one, hn::Mul(g, hn::Sub(one, sigmoid))));
    store(hn::Mul(dsilu, slope), dgate + i, part);
    store(hn::Mul(d, silu), dup + i, part);
  });
}

void swiglu_forward_f32(const float* gate, const float* up, float* y, int64_t count) {
  swiglu_forward_range(gate, up, y, count);
}
void swiglu_forward_bf16(const Bf16* gate, const Bf16* up, Bf16* y, int64_t count) {
  swiglu_forward_range(gate, up, y, count);
}
void swiglu_backward_f32(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t count) {
  swiglu_backward_range(dy, gate, up, dgate, dup, count);
}
void swiglu_backward_bf16(const Bf16* dy, const Bf16* gate, const Bf16* up, Bf16* dgate, Bf16* dup, int64_t count) {
  swiglu_backward_range(dy, gate, up, dgate, dup, count);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(swiglu_forward_f32);
HWY_EXPORT(swiglu_forward_bf16);
HWY_EXPORT(swiglu_backward_f32);
HWY_EXPORT(swiglu_backward_bf16);

void swiglu(const float* gate, const float* up, float* y, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_forward_f32)(gate, up, y, count);
}

void swiglu(const Bf16* gate, const Bf16* up, Bf16* y, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_forward_bf16)(gate, up, y, count);
}

void swiglu_backward(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward_f32)(dy, gate, up, dgate, dup, count);
}

void swiglu_backward(const Bf16* dy, const Bf16* gate, const Bf16* up, Bf16* dgate, Bf16* dup, int64_t count) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward_bf16)(dy, gate, up, dgate, dup, count);
}

}  // namespace lathe::kernels
#endif
