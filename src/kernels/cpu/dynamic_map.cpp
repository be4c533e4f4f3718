#include "kernels/dynamic_map.h"

#include <algorithm>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dynamic_map.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/dynamic_map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

void close_blocks(const float* x, uint8_t* codes, float* absmax, int64_t count, DynamicMap map) {
  const Codes of = codes_of(map);
  for (int64_t begin = 0; begin < count; begin += kDynamicBlock) {
    const int64_t size = std::min(kDynamicBlock, count - begin);
    V largest = hn::Zero(D());
    for_each_vector(
        size, [&](int64_t i, auto part) HWY_ATTR { largest = larger(largest, hn::Abs(load(x + begin + i, part))); });
    float& scale = absmax[begin / kDynamicBlock];
    scale = hn::GetLane(hn::MaxOfLanes(D(), largest));
    close_block(x + begin, scale, codes + begin, size, of);
  }
}

void open_blocks_of(const uint8_t* codes, const float* absmax, float* values, int64_t count, DynamicMap map) {
  const Codes of = codes_of(map);
  for (int64_t begin = 0; begin < count; begin += kDynamicBlock) {
    const int64_t size = std::min(kDynamicBlock, count - begin);
    open_block(codes + begin, values + begin, size, of);
    const V scale = hn::Set(D(), absmax[begin / kDynamicBlock]);
    float* block = values + begin;
    for_each_vector(
        size, [&](int64_t i, auto part) HWY_ATTR { store(hn::Mul(load(block + i, part), scale), block + i, part); });
  }
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(close_blocks);
HWY_EXPORT(open_blocks_of);

void quantize_blockwise(const float* x, uint8_t* codes, float* absmax, int64_t count, DynamicMap map) {
  HWY_DYNAMIC_DISPATCH(close_blocks)(x, codes, absmax, count, map);
}

void dequantize_blockwise(const uint8_t* codes, const float* absmax, float* values, int64_t count, DynamicMap map) {
  HWY_DYNAMIC_DISPATCH(open_blocks_of)(codes, absmax, values, count, map);
}

}  // namespace lathe::kernels
#endif
