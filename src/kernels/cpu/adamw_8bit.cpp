#include "kernels/adamw_8bit.h"

#include <algorithm>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/adamw_8bit.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/adamw-inl.h"
#include "kernels/cpu/dynamic_map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

struct PlainWeights {
  float* values;
  template <typename P>
  HWY_INLINE V get(int64_t i, P part) const {
    return load(values + i, part);
  }
  template <typename P>
  HWY_INLINE void set(V v, int64_t i, P part) const {
    store(v, values + i, part);
  }
};

struct SplitWeights {
  SplitMaster halves;
  template <typename P>
  HWY_INLINE V get(int64_t i, P part) const {
    return load_master(halves.rounded + i, halves.rest + i, part);
  }
  template <typename P>
  HWY_INLINE void set(V v, int64_t i, P part) const {
    store_master(v, halves.rounded + i, halves.rest + i, part);
  }
};

template <typename Weights, typename T>
void update_blocks(const Weights& weights, const T* gradient, const EightBitMoments& moments, int64_t count,
                   const AdamWStep& step) {
  const Codes mean = codes_of(DynamicMap::kSigned), square = codes_of(DynamicMap::kUnsigned);
  HWY_ALIGN float m[kDynamicBlock], v[kDynamicBlock];
  const Update update(step);
  for (int64_t begin = 0; begin < count; begin += kDynamicBlock) {
    const int64_t size = std::min(kDynamicBlock, count - begin), block = begin / kDynamicBlock;
    uint8_t *m_codes = moments.exp_avg.codes + begin, *v_codes = moments.exp_avg_sq.codes + begin;
    float &m_absmax = moments.exp_avg.absmax[block], &v_absmax = moments.exp_avg_sq.absmax[block];
    open_block(m_codes, m, size, mean);
    open_block(v_codes, v, size, square);
    const V m_scale = hn::Set(D(), m_absmax), v_scale = hn::Set(D(), v_absmax);
    V m_largest = hn::Zero(D()), v_largest = m_largest;
    for_each_vector(size, [&](int64_t i, auto part) HWY_ATTR {
      V first = hn::Mul(load(m + i, part), m_scale), second = hn::Mul(load(v + i, part), v_scale);
      const V before = weights.get(begin + i, part), g = load(gradient + begin + i, part);
      weights.set(update.as_bitsandbytes(before, g, first, second), begin + i, part);
      store(first, m + i, part);
      store(second, v + i, part);
      m_largest = larger(m_largest, hn::Abs(first));
      v_largest = larger(v_largest, second);
    });
    m_absmax = hn::GetLane(hn::MaxOfLanes(D(), m_largest));
    v_absmax = hn::GetLane(hn::MaxOfLanes(D(), v_largest));
    close_block(m, m_absmax, m_codes, size, mean);
    close_block(v, v_absmax, v_codes, size, square);
  }
}

void adamw_8bit_f32(float* parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                    const AdamWStep& step) {
  update_blocks(PlainWeights{parameter}, gradient, moments, count, step);
}
void adamw_8bit_split_f32(SplitMaster parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                          const AdamWStep& step) {
  update_blocks(SplitWeights{parameter}, gradient, moments, count, step);
}
void adamw_8bit_split_bf16(SplitMaster parameter, const Bf16* gradient, const EightBitMoments& moments, int64_t count,
                           const AdamWStep& step) {
  update_blocks(SplitWeights{parameter}, gradient, moments, count, step);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(adamw_8bit_f32);
HWY_EXPORT(adamw_8bit_split_f32);
HWY_EXPORT(adamw_8bit_split_bf16);

void adamw_8bit(float* parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                const AdamWStep& step) {
  HWY_DYNAMIC_DISPATCH(adamw_8bit_f32)(parameter, gradient, moments, count, step);
}
void adamw_8bit(SplitMaster parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                const AdamWStep& step) {
  HWY_DYNAMIC_DISPATCH(adamw_8bit_split_f32)(parameter, gradient, moments, count, step);
}
void adamw_8bit(SplitMaster parameter, const Bf16* gradient, const EightBitMoments& moments, int64_t count,
                const AdamWStep& step) {
  HWY_DYNAMIC_DISPATCH(adamw_8bit_split_bf16)(parameter, gradient, moments, count, step);
}

}  // namespace lathe::kernels
#endif
