#pragma once
#include <cmath>
#include <vector>

#include "kernels/adamw_8bit.h"
#include "kernels/reference/dynamic_map.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

inline float times(float a, float b) {
  return narrow<float>(wide(a) * wide(b));
}
inline float plus(float a, float b) {
  return narrow<float>(wide(a) + wide(b));
}
inline float over(float a, float b) {
  return narrow<float>(wide(a) / wide(b));
}

inline std::vector<float> opened(const BlockwiseMoment& moment, int64_t count, DynamicMap map) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(times(dynamic_map_values(map)[moment.codes[i]], moment.absmax[i / kDynamicBlock]));
  }
  return values;
}

/// As kernels::adamw_8bit on fp32 weights: all opened, updated, all closed; rounded after every operation as
/// bitsandbytes rounds.
inline void adamw_8bit(float* parameter, const float* gradient, const EightBitMoments& moments, int64_t count,
                       const AdamWStep& step) {
  const auto& [exp_avg, exp_avg_sq] = moments;
  auto mean = opened(exp_avg, count, DynamicMap::kSigned), square = opened(exp_avg_sq, count, DynamicMap::kUnsigned);
  for (int64_t i = 0; i < count; ++i) {
    float &m = mean[static_cast<size_t>(i)], &v = square[static_cast<size_t>(i)];
    const float g = times(gradient[i], step.gradient_scale);
    m = std::fma(g, step.one_minus_beta1, times(m, step.beta1));
    v = std::fma(times(step.one_minus_beta2, g), g, times(v, step.beta2));
    const float denominator = plus(over(narrow<float>(std::sqrt(wide(v))), step.root_correction2), step.epsilon);
    parameter[i] = plus(times(parameter[i], step.decay), -over(times(step.step_size, m), denominator));
  }
  reference::quantize_blockwise(mean.data(), exp_avg.codes, exp_avg.absmax, count, DynamicMap::kSigned);
  reference::quantize_blockwise(square.data(), exp_avg_sq.codes, exp_avg_sq.absmax, count, DynamicMap::kUnsigned);
}

}  // namespace lathe::kernels::reference
