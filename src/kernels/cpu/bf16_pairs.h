#pragma once
// Products of bf16 matrices by vdpbf16ps (bf16_tiles.h: by AMX), and the layouts they read. A pair of neighbours along
// the depth of a product is one 32-bit element: C[r, n] += A[r, p]₀ B[p, n]₀ + A[r, p]₁ B[p, n]₁.
//
// A is read element by element, from any strides. B lies in panels of at most 64 columns, so that one panel stays in
// the first cache and its rows follow one another. Include from files that are compiled for all processors: everything
// here carries its own instruction set, and is called only where `supported()`.
#include <hwy/base.h>

#include <algorithm>
#include <cstdint>

// GCC 12 takes the undefined registers inside its own intrinsics for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include "kernels/bf16.h"
#include "kernels/rounded_up.h"

// Of AVX-512 only what every processor with AVX512_BF16 has. Compilers make no tiles of their own accord: AMX stands
// only where bf16_tiles.h writes it.
#define LATHE_BF16_PAIRS_BEGIN \
  HWY_PUSH_ATTRIBUTES("avx,avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")
#define LATHE_BF16_PAIRS_END HWY_POP_ATTRIBUTES

namespace lathe::kernels::bf16_pairs {
constexpr int64_t kLanes = 16;      // fp32, or pairs, of a vector
constexpr int64_t kPanel = 64;      // columns of a panel
constexpr int64_t kBlockRows = 96;  // rows that meet a panel together: whole tiles of either products
}  // namespace lathe::kernels::bf16_pairs

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels::bf16_pairs {

/// Row r, pair p at data[r · row + p · pair].
struct Pairs {
  const uint32_t* data;
  int64_t row, pair;
};

template <int kRows, int kVectors>
using Sums = __m512[kRows][kVectors];

/// sums += A B over `depth` pairs. Rows of B are kVectors wide and follow one another.
template <int kRows, int kVectors>
HWY_INLINE void multiply(Pairs a, const uint32_t* b, int64_t depth, Sums<kRows, kVectors>& sums) {
  for (int64_t p = 0; p < depth; ++p) {
    __m512bh columns[kVectors];
    for (int n = 0; n < kVectors; ++n) {
      columns[n] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + (p * kVectors + n) * kLanes));
    }
    for (int r = 0; r < kRows; ++r) {
      const auto element =
          reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a.data[r * a.row + p * a.pair])));
      for (int n = 0; n < kVectors; ++n) sums[r][n] = _mm512_dpbf16_ps(sums[r][n], element, columns[n]);
    }
  }
}

/// C = factor[r] · C + A B for one tile.
template <int kRows, int kVectors>
HWY_INLINE void add_tile(Pairs a, const uint32_t* b, int64_t depth, float* c, int64_t c_row, const float* factors) {
  Sums<kRows, kVectors> sums;
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) {
      sums[r][n] = _mm512_loadu_ps(c + r * c_row + n * kLanes);
      if (factors != nullptr) sums[r][n] = _mm512_mul_ps(sums[r][n], _mm512_set1_ps(factors[r]));
    }
  }
  multiply<kRows, kVectors>(a, b, depth, sums);
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) _mm512_storeu_ps(c + r * c_row + n * kLanes, sums[r][n]);
  }
}

/// kRows rows of C (+)= A B, all `width` columns (a multiple of a vector). The panels of B are `panel_rows` pairs long.
template <int kRows>
HWY_INLINE void add_product(Pairs a, const uint32_t* b, int64_t panel_rows, int64_t first, int64_t depth, float* c,
                            int64_t width, const float* factors = nullptr) {
  for (int64_t n = 0; n < width; n += kPanel) {
    const uint32_t* panel = b + n * panel_rows;
    switch (std::min(width - n, kPanel) / kLanes) {
      case 4:
        add_tile<kRows, 4>(a, panel + first * 4 * kLanes, depth, c + n, width, factors);
        break;
      case 3:
        add_tile<kRows, 3>(a, panel + first * 3 * kLanes, depth, c + n, width, factors);
        break;
      case 2:
        add_tile<kRows, 2>(a, panel + first * 2 * kLanes, depth, c + n, width, factors);
        break;
      default:
        add_tile<kRows, 1>(a, panel + first * 1 * kLanes, depth, c + n, width, factors);
    }
  }
}

/// Products whose sums stay in registers.
struct VectorProducts {
  static constexpr int64_t kRows = 6;  ///< of A at a time: with 4 vectors of columns 24 sums, 4 columns, 1 element
  using Sums = bf16_pairs::Sums<kRows, 4>;

  /// sums = A B, a whole panel of columns.
  static HWY_INLINE void multiply(Pairs a, const uint32_t* b, int64_t depth, Sums& sums) {
    for (auto& row : sums) {
      for (__m512& sum : row) sum = _mm512_setzero_ps();
    }
    bf16_pairs::multiply<kRows, 4>(a, b, depth, sums);
  }
  /// C = factors · C + A B for kRows rows. Behind `depth` a product may go on where A or B holds zeros.
  static HWY_INLINE void add(Pairs a, const uint32_t* b, int64_t panel_rows, int64_t depth, float* c, int64_t width,
                             const float* factors = nullptr) {
    add_product<kRows>(a, b, panel_rows, 0, depth, c, width, factors);
  }
  /// C += Aᵀ B: A [depth][64], C has 64 rows, B begins at its row `first`.
  static HWY_INLINE void add_transposed(const uint32_t* a, const uint32_t* b, int64_t panel_rows, int64_t first,
                                        int64_t depth, float* c, int64_t width) {
    int64_t row = 0;
    for (; row + kRows <= kPanel; row += kRows) {
      add_product<kRows>({a + row, 1, kPanel}, b, panel_rows, first, depth, c + row * width, width);
    }
    add_product<kPanel % kRows>({a + row, 1, kPanel}, b, panel_rows, first, depth, c + row * width, width);
  }
};

}  // namespace lathe::kernels::bf16_pairs
LATHE_BF16_PAIRS_END
