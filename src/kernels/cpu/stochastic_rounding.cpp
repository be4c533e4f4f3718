#include "kernels/stochastic_rounding.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/stochastic_rounding.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/stochastic_rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

void round_range(const float* values, Bf16* rounded, int64_t first, int64_t count, const RoundingDraw& draw) {
  for_each_draw(first, count, draw.key, draw.rest, [&](int64_t at, U drawn, auto extent) HWY_ATTR {
    store(round_drawn(load(values + at, extent), drawn), rounded + at, extent);
  });
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(round_range);

void round_stochastically(const float* values, Bf16* rounded, int64_t first, int64_t count, const RoundingDraw& draw) {
  HWY_DYNAMIC_DISPATCH(round_range)(values, rounded, first, count, draw);
}

}  // namespace lathe::kernels
#endif
