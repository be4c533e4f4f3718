#pragma once
// What the forward and the backward of attention on pairs of bf16 share: the order of the query rows, 2^x.
//
// A row is one query of one head, numbered query · G + head: heads of the group lie inside, so that a block of rows
// covers few tokens and little above the diagonal is worked out in vain.
#include <cstring>

#include "kernels/attention.h"
#include "kernels/cpu/bf16_layouts.h"
#include "kernels/cpu/bf16_pairs.h"
#include "kernels/cpu/bf16_tiles.h"

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels::bf16_pairs {

constexpr float kLog2E = 1.44269504088896341F;

/// A task's rows and keys in units of the layouts.
struct Extent {
  explicit Extent(const AttentionTask& task)
      : group(task.group),
        dim(task.head_dim),
        width(rounded_up(dim, kLanes)),
        rows(task.num_queries * group),
        keys(task.num_keys),
        past(task.num_keys - task.num_queries),
        q_stride(task.q_stride) {}
  int64_t group, dim, width, rows, keys, past, q_stride;

  [[nodiscard]] int64_t seen(int64_t row) const { return past + std::min(row, rows - 1) / group + 1; }
  [[nodiscard]] int64_t first_row_that_sees(int64_t key) const { return std::max<int64_t>(0, key - past) * group; }
  /// Where a row's values begin in q, out and their gradients, and its number in lse.
  [[nodiscard]] int64_t at(int64_t row) const { return row / group * q_stride + row % group * dim; }
  [[nodiscard]] int64_t lse_at(int64_t row) const { return row / group * (q_stride / dim) + row % group; }
};

/// Some rows from `first` on, in whole tiles; those beyond `count` hold zeros.
struct Block {
  int64_t first, count, padded;
};

template <typename Products, typename Body>
HWY_INLINE void for_each_block(const Extent& extent, int64_t first, Body body) {
  static_assert(kBlockRows % Products::kRows == 0);
  for (; first < extent.rows; first += kBlockRows) {
    const int64_t count = std::min(kBlockRows, extent.rows - first);
    body(Block{first, count, rounded_up(count, Products::kRows)});
  }
}

/// A block's rows one after another, [padded, width].
inline void gather(const Bf16* from, const Extent& extent, const Block& block, Bf16* to) {
  const auto bytes = static_cast<size_t>(extent.dim) * sizeof(Bf16);
  if (block.count < block.padded || extent.dim < extent.width) {
    std::fill(to, to + block.padded * extent.width, Bf16{0});
  }
  for (int64_t r = 0; r < block.count; ++r)
    std::memcpy(to + r * extent.width, from + extent.at(block.first + r), bytes);
}

/// factor · a row of fp32, rounded.
HWY_INLINE void narrow(const float* from, float factor, int64_t dim, Bf16* to) {
  for (int64_t d = 0; d < dim; d += kLanes) {
    const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(from + d), _mm512_set1_ps(factor));
    const auto mask = static_cast<__mmask16>((1U << std::min(kLanes, dim - d)) - 1U);
    _mm256_mask_storeu_epi16(to + d, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(scaled)));
  }
}

/// 2^x within 1e-7 of itself: the integer below x goes into the exponent, a polynomial with p(0) = 1 gives the rest.
/// Its coefficients make the largest relative error over [0, 1) smallest.
HWY_INLINE __m512 exp2(__m512 x) {
  const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
  __m512 p = _mm512_set1_ps(0.0018671307F);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0090170290F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0557999141F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.2401644499F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.6931513118F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(p, x);
}

/// Which of a vector's keys, the first of them `from`, lie below `seen`.
HWY_INLINE __mmask16 visible(int64_t seen, int64_t from) {
  return static_cast<__mmask16>((1U << std::clamp<int64_t>(seen - from, 0, kLanes)) - 1U);
}

}  // namespace lathe::kernels::bf16_pairs
LATHE_BF16_PAIRS_END
