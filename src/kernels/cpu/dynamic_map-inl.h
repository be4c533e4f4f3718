// Opening and closing blocks of 8-bit codes, once for each instruction set (hence no #pragma once).
#if defined(LATHE_KERNELS_CPU_DYNAMIC_MAP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_DYNAMIC_MAP_INL_H_
#undef LATHE_KERNELS_CPU_DYNAMIC_MAP_INL_H_
#else
#define LATHE_KERNELS_CPU_DYNAMIC_MAP_INL_H_
#endif

#include "kernels/cpu/vector-inl.h"
#include "kernels/dynamic_map.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

/// A map as the loops below read it.
struct Codes {
  const float* values;  // [256]
  const uint8_t* grid;  // [kDynamicGrid]
};

HWY_INLINE Codes codes_of(DynamicMap map) {
  return {dynamic_map_values(map).data(), dynamic_map_grid(map).data()};
}

/// The larger one in each lane; NaN in `magnitude` counts as nothing.
HWY_INLINE V larger(V largest, V magnitude) {
  return hn::IfThenElse(hn::Gt(magnitude, largest), magnitude, largest);
}

/// What each code stands for, in units of the block's scale. Look-ups one by one: gathers are slower on many
/// processors.
HWY_INLINE void open_block(const uint8_t* codes, float* values, int64_t count, const Codes& map) {
  HWY_UNROLL(8)
  for (int64_t i = 0; i < count; ++i) values[i] = map.values[codes[i]];
}

/// @param absmax the block's largest magnitude. 0 and infinity make NaN of values, which get code 0, as NaN itself
/// does.
/// @param count up to kDynamicBlock
HWY_INLINE void close_block(const float* values, float absmax, uint8_t* codes, int64_t count, const Codes& map) {
  HWY_ALIGN int32_t points[kDynamicBlock];
  const D d;
  const V factor = hn::Set(d, 1 / absmax), one = hn::Set(d, 1.0F), half = hn::Set(d, 0.5F);
  const V top = hn::Set(d, static_cast<float>(kDynamicGrid - 1)), last = hn::Add(top, half);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V v = hn::Mul(load(values + i, part), factor);
    const V point = hn::Add(hn::Mul(hn::Mul(hn::Add(v, one), half), top), half);
    const V kept = hn::IfThenElse(hn::Gt(point, half), hn::Min(point, last), half);  // false for NaN
    store(hn::BitCast(d, hn::ConvertTo(DI(), kept)), reinterpret_cast<float*>(points) + i, part);
  });
  HWY_UNROLL(8)
  for (int64_t i = 0; i < count; ++i) codes[i] = map.grid[points[i]];
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
