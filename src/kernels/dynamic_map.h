#pragma once
// bitsandbytes' dynamic 8-bit maps (Dettmers 2015, "8-Bit Approximations for Parallelism in Deep Learning"): the 256
// values that codes stand for, in units of their block's largest magnitude, and how bitsandbytes 0.50.2 finds a code on
// a CPU: a value of [-1, 1] is put on a grid of 65,536 points first, then on the value nearest to that point.
// tests/oracle/optimizer_8bit.py and quantize.py hold both to the original.
#include <array>
#include <cstdint>
#include <span>

namespace lathe::kernels {

enum class DynamicMap : uint8_t { kSigned, kUnsigned };

inline constexpr int kDynamicGrid = 65536;
inline constexpr int64_t kDynamicBlock = 256;  ///< elements that share a scale

/// In rising order: seven decades, each with twice as many values as the one below, in the middles of equal parts of
/// 0.1 to 1; 0 and 1. Half of the signed ones are the mirror images of the other half.
[[nodiscard]] const std::array<float, 256>& dynamic_map_values(DynamicMap map);

/// The code of each point of the grid that [-1, 1] is cut into; of two equally near values the smaller one.
[[nodiscard]] std::span<const uint8_t, kDynamicGrid> dynamic_map_grid(DynamicMap map);

/// Every block over its largest magnitude, in codes. NaN, and all of a block of zeros, get code 0. Single-threaded;
/// safe to call concurrently on disjoint blocks.
/// @param x [count]  @param codes out: [count]  @param absmax out: one a block; the last one may be short
void quantize_blockwise(const float* x, uint8_t* codes, float* absmax, int64_t count, DynamicMap map);

/// Value of the code · absmax of its block. @param values out: [count]
void dequantize_blockwise(const uint8_t* codes, const float* absmax, float* values, int64_t count, DynamicMap map);

}  // namespace lathe::kernels
