#include "kernels/dropout.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

/// One draw of each lane applied to neighbouring elements.
template <typename T, typename Extent>
HWY_INLINE void apply(U drawn, const T* x, T* y, const DropoutDraw& draw, Extent extent) {
  const auto dropped = hn::Lt(hn::BitCast(DI(), drawn), hn::Set(DI(), static_cast<int32_t>(draw.threshold)));
  const V kept = hn::Mul(load(x, extent), hn::Set(D(), draw.scale));
  store(hn::IfThenZeroElse(hn::RebindMask(D(), dropped), kept), y, extent);
}

template <typename T>
void dropout_range(const T* x, T* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  for_each_draw(first, count, draw.key, draw.rest,
                [&](int64_t at, U drawn, auto extent) HWY_ATTR { apply(drawn, x + at, y + at, draw, extent); });
}

void dropout_f32(const float* x, float* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  dropout_range(x, y, first, count, draw);
}
void dropout_bf16(const Bf16* x, Bf16* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  dropout_range(x, y, first, count, draw);
}
void dropout_f16(const F16* x, F16* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  dropout_range(x, y, first, count, draw);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(dropout_f32);
HWY_EXPORT(dropout_bf16);
HWY_EXPORT(dropout_f16);

void dropout(const float* x, float* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  HWY_DYNAMIC_DISPATCH(dropout_f32)(x, y, first, count, draw);
}

void dropout(const Bf16* x, Bf16* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  HWY_DYNAMIC_DISPATCH(dropout_bf16)(x, y, first, count, draw);
}

void dropout(const F16* x, F16* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  HWY_DYNAMIC_DISPATCH(dropout_f16)(x, y, first, count, draw);
}

}  // namespace lathe::kernels
#endif
