// Loads and stores of weights kept in two halves (kernels/split_master.h), once for each instruction set.
#if defined(LATHE_KERNELS_CPU_SPLIT_MASTER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_SPLIT_MASTER_INL_H_
#undef LATHE_KERNELS_CPU_SPLIT_MASTER_INL_H_
#else
#define LATHE_KERNELS_CPU_SPLIT_MASTER_INL_H_
#endif

#include "kernels/cpu/vector-inl.h"
#include "kernels/split_master.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

using DI16 = hn::Rebind<int16_t, D>;

HWY_INLINE V load_master(const Bf16* rounded, const int16_t* rest, Whole) {
  const auto high = hn::BitCast(DI(), load(rounded, Whole()));
  return hn::BitCast(D(), hn::Add(high, hn::PromoteTo(DI(), hn::LoadU(DI16(), rest))));
}

HWY_INLINE void store_master(V v, Bf16* rounded, int16_t* rest, Whole) {
  store(v, rounded, Whole());
  const auto whole = hn::Sub(hn::BitCast(DI(), v), hn::BitCast(DI(), round_bf16(v)));
  const auto kept = hn::IfThenZeroElse(hn::RebindMask(DI(), hn::IsNaN(v)), whole);
  hn::StoreU(hn::DemoteTo(DI16(), kept), DI16(), rest);
}

HWY_INLINE V load_master(const Bf16* rounded, const int16_t* rest, Part part) {
  HWY_ALIGN Bf16 high[hn::MaxLanes(D())] = {};
  HWY_ALIGN int16_t low[hn::MaxLanes(D())] = {};
  for (int64_t i = 0; i < part.count; ++i) high[i] = rounded[i], low[i] = rest[i];
  return load_master(high, low, Whole());
}

HWY_INLINE void store_master(V v, Bf16* rounded, int16_t* rest, Part part) {
  HWY_ALIGN Bf16 high[hn::MaxLanes(D())];
  HWY_ALIGN int16_t low[hn::MaxLanes(D())];
  store_master(v, high, low, Whole());
  for (int64_t i = 0; i < part.count; ++i) rounded[i] = high[i], rest[i] = low[i];
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
