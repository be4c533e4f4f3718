#pragma once
// From rows of bf16 to the layouts that the products of bf16_pairs.h and bf16_tiles.h read, and from their sums back;
// the pieces of a workspace that hold them.
#include "kernels/cpu/bf16_pairs.h"

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels::bf16_pairs {

HWY_INLINE const uint32_t* pairs_of(const Bf16* values) {
  return reinterpret_cast<const uint32_t*>(values);
}

/// Two vectors of fp32 as 32 bf16 one after another.
HWY_INLINE __m512i narrowed(__m512 first, __m512 second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

/// Up to 32 bf16 of a row that ends after `left`; zero behind it.
HWY_INLINE __m512i load_row(const Bf16* from, int64_t left) {
  if (left >= 2 * kLanes) return _mm512_loadu_si512(from);
  return _mm512_maskz_loadu_epi16(left <= 0 ? 0U : (1U << left) - 1U, from);
}

/// Transposes 16 × 16 elements: at each step rows and lanes exchange one bit of their numbers.
HWY_INLINE void transpose(__m512i (&rows)[kLanes]) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int step = 1; step < kLanes; step *= 2) {
    const __m512i bit = _mm512_set1_epi32(step);
    const __mmask16 upper = _mm512_test_epi32_mask(lane, bit);
    const __m512i second = _mm512_set1_epi32(static_cast<int>(kLanes));
    const __m512i low = _mm512_mask_add_epi32(lane, upper, _mm512_sub_epi32(lane, bit), second);
    const __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, bit), upper, lane, second);
    for (int i = 0; i < kLanes; ++i) {
      if ((i & step) != 0) continue;
      const __m512i a = rows[i], b = rows[i + step];
      rows[i] = _mm512_permutex2var_epi32(a, low, b);
      rows[i + step] = _mm512_permutex2var_epi32(a, high, b);
    }
  }
}

/// 32 bf16 of each of two rows → their 32 pairs.
HWY_INLINE void store_paired(__m512i even, __m512i odd, uint32_t* to) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(even));
  const __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(even, 1));
  const __m512i odd_low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(odd));
  const __m512i odd_high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(odd, 1));
  _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(odd_low, 16)));
  _mm512_storeu_si512(to + kLanes, _mm512_or_si512(high, _mm512_slli_epi32(odd_high, 16)));
}

/// A panel whose columns are 64 tokens and whose depth is the head's, [width/2][64]; tokens beyond `count` are zero.
inline void pack_transposed(const Bf16* from, int64_t stride, int64_t count, int64_t dim, uint32_t* to) {
  const int64_t pairs = rounded_up(dim, kLanes) / 2;
  for (int64_t token = 0; token < kPanel; token += kLanes) {
    for (int64_t first = 0; first < pairs; first += kLanes) {
      __m512i rows[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        const bool here = token + i < count;
        rows[i] = here ? load_row(from + (token + i) * stride + 2 * first, dim - 2 * first) : _mm512_setzero_si512();
      }
      transpose(rows);
      for (int64_t p = 0; p < std::min(kLanes, pairs - first); ++p) {
        _mm512_storeu_si512(to + (first + p) * kPanel + token, rows[p]);
      }
    }
  }
}

/// Panels whose columns are the head's dimensions and whose depth is `rows` tokens (even), [rows/2][<= 64] each; tokens
/// beyond `count` are zero.
inline void pack_paired(const Bf16* from, int64_t stride, int64_t count, int64_t dim, int64_t rows, uint32_t* to) {
  const int64_t width = rounded_up(dim, kLanes);
  const auto half = [&](int64_t token, int64_t d) {
    const __mmask16 mask = static_cast<__mmask16>((1U << std::min(kLanes, dim - d)) - 1U);
    const __m256i bits =
        token < count ? _mm256_maskz_loadu_epi16(mask, from + token * stride + d) : _mm256_setzero_si256();
    return _mm512_cvtepu16_epi32(bits);
  };
  for (int64_t n = 0; n < width; n += kPanel) {
    const int64_t columns = std::min(kPanel, width - n);
    for (int64_t p = 0; p < rows / 2; ++p) {
      for (int64_t d = 0; d < columns; d += kLanes) {
        const __m512i pair = _mm512_or_si512(half(2 * p, n + d), _mm512_slli_epi32(half(2 * p + 1, n + d), 16));
        _mm512_storeu_si512(to + n * (rows / 2) + p * columns + d, pair);
      }
    }
  }
}

/// Pieces of a workspace, handed out in order, each at the beginning of a cache line.
class Pieces {
 public:
  static constexpr int64_t kLine = 16;  // floats
  /// So many floats are left over in front of the first line.
  explicit Pieces(float* begin) : next_(begin + (-reinterpret_cast<intptr_t>(begin) / 4 & (kLine - 1))) {}
  template <typename T>
  T* take(int64_t count) {
    T* piece = reinterpret_cast<T*>(next_);
    next_ += floats<T>(count);
    return piece;
  }
  template <typename T>
  static constexpr int64_t floats(int64_t count) {
    return rounded_up(count * static_cast<int64_t>(sizeof(T)), kLine * 4) / 4;
  }

 private:
  float* next_;
};

}  // namespace lathe::kernels::bf16_pairs
LATHE_BF16_PAIRS_END
