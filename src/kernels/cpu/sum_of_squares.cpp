#include "kernels/sum_of_squares.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sum_of_squares.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

template <typename T>
double sum_of_squares_range(const T* values, int64_t count) {
  const hn::ScalableTag<double> wide;
  const hn::Rebind<float, decltype(wide)> narrow;
  const auto step = static_cast<int64_t>(hn::Lanes(wide));
  auto sum = hn::Zero(wide);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    HWY_ALIGN float lanes[hn::MaxLanes(D())];
    store(load(values + i, part), lanes, Whole());
    for (int64_t j = 0; j < static_cast<int64_t>(hn::Lanes(D())); j += step) {
      const auto v = hn::PromoteTo(wide, hn::LoadU(narrow, lanes + j));
      sum = hn::MulAdd(v, v, sum);
    }
  });
  return hn::GetLane(hn::SumOfLanes(wide, sum));
}

double sum_of_squares_f32(const float* values, int64_t count) {
  return sum_of_squares_range(values, count);
}
double sum_of_squares_bf16(const Bf16* values, int64_t count) {
  return sum_of_squares_range(values, count);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(sum_of_squares_f32);
HWY_EXPORT(sum_of_squares_bf16);

double sum_of_squares(const float* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares_f32)(values, count);
}

double sum_of_squares(const Bf16* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares_bf16)(values, count);
}

}  // namespace lathe::kernels
#endif
