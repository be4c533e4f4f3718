// Stochastic rounding of one vector, once for each instruction set (hence no #pragma once).
#if defined(LATHE_KERNELS_CPU_STOCHASTIC_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_STOCHASTIC_ROUNDING_INL_H_
#undef LATHE_KERNELS_CPU_STOCHASTIC_ROUNDING_INL_H_
#else
#define LATHE_KERNELS_CPU_STOCHASTIC_ROUNDING_INL_H_
#endif

#include "kernels/cpu/philox-inl.h"
#include "kernels/stochastic_rounding.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

/// A bf16, still as fp32: the draw is added below the bits that stay, and carries as often as they say.
HWY_INLINE V round_drawn(V v, U drawn) {
  const DU d;
  const auto kept = hn::And(hn::Add(hn::BitCast(d, v), drawn), hn::Set(d, 0xffff0000U));
  return hn::IfThenElse(hn::IsNaN(v), v, hn::BitCast(D(), kept));  // storing makes one NaN of all
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
