#include "kernels/rotary.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rotary.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

template <typename T>
void rotate(T* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim, bool inverse) {
  const int64_t half = head_dim / 2;
  const V sign = hn::Set(D(), inverse ? -1.0F : 1.0F);
  for (int64_t token = 0; token < tokens; ++token, cos += half, sin += half) {
    for (int64_t head = 0; head < heads; ++head, x += head_dim) {
      for_each_vector(half, [&](int64_t i, auto part) HWY_ATTR {
        const V c = load(cos + i, part), s = hn::Mul(load(sin + i, part), sign);
        const V low = load(x + i, part), high = load(x + half + i, part);
        // No fused multiply-add: each product is rounded by itself, as it is in separate operations on tensors.
        const V low_cos = round_to<T>(hn::Mul(low, c)), high_cos = round_to<T>(hn::Mul(high, c));
        const V low_sin = round_to<T>(hn::Mul(low, s)), high_sin = round_to<T>(hn::Mul(high, s));
        store(hn::Sub(low_cos, high_sin), x + i, part);
        store(hn::Add(high_cos, low_sin), x + half + i, part);
      });
    }
  }
}

void rotate_f32(float* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim,
                bool inverse) {
  rotate(x, cos, sin, tokens, heads, head_dim, inverse);
}
void rotate_bf16(Bf16* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim,
                 bool inverse) {
  rotate(x, cos, sin, tokens, heads, head_dim, inverse);
}
void rotate_f16(F16* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim,
                bool inverse) {
  rotate(x, cos, sin, tokens, heads, head_dim, inverse);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(rotate_f32);
HWY_EXPORT(rotate_bf16);
HWY_EXPORT(rotate_f16);

void rotary(float* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim,
            bool inverse) {
  HWY_DYNAMIC_DISPATCH(rotate_f32)(x, cos, sin, tokens, heads, head_dim, inverse);
}

void rotary(Bf16* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim,
            bool inverse) {
  HWY_DYNAMIC_DISPATCH(rotate_bf16)(x, cos, sin, tokens, heads, head_dim, inverse);
}

void rotary(F16* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim, bool inverse) {
  HWY_DYNAMIC_DISPATCH(rotate_f16)(x, cos, sin, tokens, heads, head_dim, inverse);
}

}  // namespace lathe::kernels
#endif
