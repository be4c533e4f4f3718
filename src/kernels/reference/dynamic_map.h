#pragma once
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/dynamic_map.h"

namespace lathe::kernels::reference {

/// The code of a value of [-1, 1]: that of the map's value nearest to the point of the grid that is nearest to it, of
/// two equally near the smaller one. NaN: 0.
inline uint8_t dynamic_code(float value, DynamicMap map) {
  const std::array<float, 256>& values = dynamic_map_values(map);
  if (std::isnan(value)) return 0;
  const auto point = static_cast<int>((std::clamp(value, -1.0F, 1.0F) + 1) * 0.5F * (kDynamicGrid - 1) + 0.5F);
  const float on_grid = -1 + (2.0F * static_cast<float>(point)) / (kDynamicGrid - 1);
  size_t code = 0;
  while (code < 255 && 0.5F * (values[code] + values[code + 1]) < on_grid) ++code;
  return static_cast<uint8_t>(code);
}

/// As kernels::quantize_blockwise.
inline void quantize_blockwise(const float* x, uint8_t* codes, float* absmax, int64_t count, DynamicMap map) {
  for (int64_t begin = 0; begin < count; begin += kDynamicBlock) {
    const int64_t end = std::min(count, begin + kDynamicBlock);
    float largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
    absmax[begin / kDynamicBlock] = largest;
    for (int64_t i = begin; i < end; ++i) codes[i] = dynamic_code(x[i] * (1 / largest), map);
  }
}

/// As kernels::dequantize_blockwise.
inline void dequantize_blockwise(const uint8_t* codes, const float* absmax, float* values, int64_t count,
                                 DynamicMap map) {
  for (int64_t i = 0; i < count; ++i) values[i] = dynamic_map_values(map)[codes[i]] * absmax[i / kDynamicBlock];
}

}  // namespace lathe::kernels::reference
