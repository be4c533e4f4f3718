#include "kernels/split_master.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/split_master.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/split_master-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

void split_range(const float* values, SplitMaster into, int64_t count) {
  for_each_vector(count, [&](int64_t i, auto part)
                             HWY_ATTR { store_master(load(values + i, part), into.rounded + i, into.rest + i, part); });
}

void join_range(const Bf16* rounded, const int16_t* rest, float* values, int64_t count) {
  for_each_vector(
      count, [&](int64_t i, auto part) HWY_ATTR { store(load_master(rounded + i, rest + i, part), values + i, part); });
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(split_range);
HWY_EXPORT(join_range);

void split_master(const float* values, SplitMaster into, int64_t count) {
  HWY_DYNAMIC_DISPATCH(split_range)(values, into, count);
}

void join_master(const Bf16* rounded, const int16_t* rest, float* values, int64_t count) {
  HWY_DYNAMIC_DISPATCH(join_range)(rounded, rest, values, count);
}

}  // namespace lathe::kernels
#endif
