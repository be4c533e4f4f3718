#pragma once
// Block-wise quantisation of frozen weights with bitsandbytes' values (QLoRA, Dettmers et al. 2023; LLM.int8, 2022):
// every code and every scale equals what bitsandbytes 0.50.2 makes on a CPU, bit for bit (tests/oracle/quantize.py).
//
// A tensor's elements are taken in order, whatever its shape. Single-threaded; safe to call concurrently on disjoint
// blocks. Nothing is allocated. Plain versions: kernels/reference/quantize.h.
#include <array>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/dynamic_map.h"
#include "kernels/f16.h"

namespace lathe::kernels {

inline constexpr int64_t kFourBitBlock = 64;  ///< elements that share a scale
inline constexpr int64_t kAbsmaxBlock =
    kDynamicBlock;  ///< scales that share a scale of their own (double quantisation)

enum class FourBitType : uint8_t {
  kNf4,  ///< quantiles of a normal distribution
  kFp4,  ///< sign, two bits of exponent, one of mantissa
};

/// What each of the 16 codes stands for, in units of its block's absmax.
[[nodiscard]] const std::array<float, 16>& four_bit_values(FourBitType type);

/// @param codes out: two a byte, the first in the high half; an odd last element is paired with a zero
/// @param absmax out: one a block. A block that is not full is divided by its absmax instead of multiplied by the
/// reciprocal, and its absmax is at least 1e-38, as in bitsandbytes. NaN in a block: NaN, and the last code throughout.
void quantize_4bit(const float* x, uint8_t* codes, float* absmax, int64_t count, FourBitType type);
/// y = value of the code · absmax, rounded once to the type of y.
/// @param codes, absmax of whole blocks from the first on
void dequantize_4bit(const uint8_t* codes, const float* absmax, float* y, int64_t count, FourBitType type);
void dequantize_4bit(const uint8_t* codes, const float* absmax, Bf16* y, int64_t count, FourBitType type);
void dequantize_4bit(const uint8_t* codes, const float* absmax, F16* y, int64_t count, FourBitType type);

/// Double quantisation: scales less their mean, in blocks of kAbsmaxBlock, in codes of the signed dynamic map
/// (kernels/dynamic_map.h).
/// @param x [count]  @param codes out: [count]  @param nested out: the absmax of each block
void quantize_absmax(const float* x, uint8_t* codes, float* nested, int64_t count);
/// absmax = value of the code · nested + offset, each operation rounded.
/// @param first index of codes[0] in its tensor, which says what block of nested (whole tensor's) it is in
void dequantize_absmax(const uint8_t* codes, const float* nested, float offset, float* absmax, int64_t first,
                       int64_t count);

/// One scale a row: codes = round(x · 127 / absmax), ties to even; NaN becomes 0.
/// @param x [rows,width], values of fp16  @param codes out: [rows,width]  @param absmax out: [rows]
void quantize_int8(const float* x, int8_t* codes, float* absmax, int64_t rows, int64_t width);
/// y = code · (absmax / 127), rounded to the type of y.
void dequantize_int8(const int8_t* codes, const float* absmax, float* y, int64_t rows, int64_t width);
void dequantize_int8(const int8_t* codes, const float* absmax, Bf16* y, int64_t rows, int64_t width);
void dequantize_int8(const int8_t* codes, const float* absmax, F16* y, int64_t rows, int64_t width);

}  // namespace lathe::kernels
