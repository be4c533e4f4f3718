#pragma once
// The definitions read from bitsandbytes, one element at a time.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/quantize.h"
#include "kernels/reference/dynamic_map.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// The code nearest to a value in [-1, 1]; of two equally near the smaller one. NaN: the largest.
inline uint8_t four_bit_code(float value, FourBitType type) {
  const std::array<float, 16>& values = four_bit_values(type);
  std::array<uint8_t, 16> order{};
  std::iota(order.begin(), order.end(), uint8_t{0});
  std::stable_sort(order.begin(), order.end(), [&](uint8_t a, uint8_t b) { return values[a] < values[b]; });
  size_t rank = 0;
  while (rank < 15 && !((values[order[rank]] + values[order[rank + 1]]) / 2 >= value)) ++rank;
  return order[rank];
}

/// As kernels::quantize_4bit.
inline void quantize_4bit(const float* x, uint8_t* codes, float* absmax, int64_t count, FourBitType type) {
  for (int64_t begin = 0; begin < count; begin += kFourBitBlock) {
    const int64_t size = std::min(kFourBitBlock, count - begin);
    float largest = 0;
    for (int64_t i = begin; i < begin + size; ++i) {
      if (std::isnan(x[i]) || std::fabs(x[i]) > largest) largest = std::fabs(x[i]);
      if (std::isnan(largest)) break;
    }
    const float divisor = largest < 1e-38F ? 1e-38F : largest;
    absmax[begin / kFourBitBlock] = size == kFourBitBlock ? largest : divisor;
    for (int64_t i = begin; i < begin + size; i += 2) {
      const auto scaled = [&](int64_t at) {
        if (at >= count) return 0.0F;
        return size == kFourBitBlock ? x[at] * (1 / divisor) : x[at] / divisor;
      };
      codes[i / 2] = static_cast<uint8_t>(four_bit_code(scaled(i), type) << 4 | four_bit_code(scaled(i + 1), type));
    }
  }
}

/// As kernels::dequantize_4bit.
template <typename T>
void dequantize_4bit(const uint8_t* codes, const float* absmax, T* y, int64_t count, FourBitType type) {
  for (int64_t i = 0; i < count; ++i) {
    const int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    y[i] = narrow<T>(wide(four_bit_values(type)[static_cast<size_t>(code)]) * wide(absmax[i / kFourBitBlock]));
  }
}

/// As kernels::quantize_absmax.
inline void quantize_absmax(const float* x, uint8_t* codes, float* nested, int64_t count) {
  reference::quantize_blockwise(x, codes, nested, count, DynamicMap::kSigned);
}

/// As kernels::dequantize_absmax.
inline void dequantize_absmax(const uint8_t* codes, const float* nested, float offset, float* absmax, int64_t first,
                              int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const double product =
        wide(dynamic_map_values(DynamicMap::kSigned)[codes[i]]) * wide(nested[(first + i) / kAbsmaxBlock]);
    absmax[i] = narrow<float>(round_to<float>(product) + wide(offset));
  }
}

/// As kernels::quantize_int8.
inline void quantize_int8(const float* x, int8_t* codes, float* absmax, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row, x += width, codes += width) {
    float largest = 0;
    for (int64_t i = 0; i < width && !std::isnan(largest); ++i) {
      if (std::isnan(x[i]) || std::fabs(x[i]) > largest) largest = std::fabs(x[i]);
    }
    absmax[row] = largest;
    for (int64_t i = 0; i < width; ++i) {
      const float scaled = x[i] * (1 / largest * 127);
      codes[i] = std::isnan(scaled) ? int8_t{0} : static_cast<int8_t>(std::nearbyint(scaled));
    }
  }
}

/// As kernels::dequantize_int8.
template <typename T>
void dequantize_int8(const int8_t* codes, const float* absmax, T* y, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row) {
    const double scale = round_to<float>(wide(absmax[row]) * wide(1.0F / 127));
    for (int64_t i = row * width; i < (row + 1) * width; ++i) y[i] = narrow<T>(codes[i] * scale);
  }
}

}  // namespace lathe::kernels::reference
