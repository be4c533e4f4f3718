#include "kernels/product.h"

#include "kernels/cpu/bf16_support.h"

#if LATHE_BF16_PAIRS
#include "kernels/cpu/bf16_layouts.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/product_pieces.h"

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels {
namespace {

using namespace bf16_pairs;

constexpr int64_t kUnit = kProductUnit;

/// What stays in the second cache (2 MB where there are tiles): a panel of b, 256 KB, meets rows of a while their sums,
/// 512 KB, are added up over the depth. The wider a panel, the less often rows of a are read again.
struct Blocking {
  int64_t width, pairs, rows;
};
constexpr int64_t kPanelPairs = int64_t{1} << 16, kSums = int64_t{1} << 17;
constexpr Blocking kWide{512, kPanelPairs / 512, kSums / 512}, kNarrow{256, kPanelPairs / 256, kSums / 256};
constexpr int64_t kDeepest = kNarrow.pairs;
static_assert(kProductWorkspace >= kPanelPairs + kUnit * kDeepest + kSums + Pieces::kLine);

struct Workspace {
  explicit Workspace(float* begin) {
    Pieces pieces(begin);
    panel = pieces.take<uint32_t>(kPanelPairs);
    a_rows = pieces.take<uint32_t>(kUnit * kDeepest);
    sums = pieces.take<float>(kSums);
  }
  uint32_t* panel;   // [pairs][width] of b
  uint32_t* a_rows;  // [32][kDeepest] of a, where its rows cannot be read in place
  float* sums;       // [blocks of 32 rows][32][width]
};

/// Pairs [first, first + pairs) of the depth, the last of them perhaps beyond it: zero there.
struct Depth {
  int64_t first, pairs;
};

/// Weights come from memory: the row so many rows further on is asked for while this one is laid out.
constexpr int64_t kAhead = 16;

/// `from`: `count` rows, `stride` apart, `left` elements each → [16 pairs][16 rows].
HWY_INLINE void turn(const Bf16* from, int64_t count, int64_t stride, int64_t left, uint32_t* to, int64_t to_row) {
  for (int64_t i = 0; i < kLanes; ++i) _mm_prefetch(from + (i + kAhead) * stride, _MM_HINT_T0);
  __m512i rows[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) rows[i] = load_row(from + i * stride, i < count ? left : 0);
  transpose(rows);
  for (int64_t i = 0; i < kLanes; ++i) _mm512_storeu_si512(to + i * to_row, rows[i]);
}

/// Row k of b and the next one, `width` columns, as pairs. What lies beyond depth and columns is zero.
HWY_INLINE void pair_rows(const Bf16Factors& of, int64_t k, int64_t column, int64_t width, uint32_t* to) {
  const Bf16 *even = of.b + k * of.b_row + column, *odd = even + of.b_row;
  for (int64_t n = 0; n < width; n += 2 * kLanes) {
    _mm_prefetch(even + kAhead * of.b_row + n, _MM_HINT_T0);
    _mm_prefetch(odd + kAhead * of.b_row + n, _MM_HINT_T0);
    const int64_t left = of.columns - column - n;
    store_paired(load_row(even + n, k < of.depth ? left : 0), load_row(odd + n, k + 1 < of.depth ? left : 0), to + n);
  }
}

void lay_out_panel(const Bf16Factors& of, const Depth& depth, int64_t column, int64_t width, uint32_t* to) {
  if (of.b_column == 1) {
    for (int64_t p = 0; p < depth.pairs; ++p) pair_rows(of, 2 * (depth.first + p), column, width, to + p * width);
    return;
  }
  for (int64_t n = 0; n < width; n += kLanes) {
    for (int64_t p = 0; p < depth.pairs; p += kLanes) {
      const int64_t k = 2 * (depth.first + p);
      turn(of.b + (column + n) * of.b_column + k, of.columns - column - n, of.b_column, of.depth - k,
           to + p * width + n, width);
    }
  }
}

/// Up to 16 elements, `left` of which are there.
HWY_INLINE __m512i sixteen(const Bf16* from, int64_t left) {
  const __mmask16 here = left >= kLanes ? 0xffff : left <= 0 ? 0 : static_cast<__mmask16>((1U << left) - 1U);
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here, from));
}

/// 32 rows of an a whose columns lie next to one another; zeros beyond its rows.
void turn_rows(const Bf16Factors& of, const Depth& depth, int64_t row, uint32_t* to) {
  for (int64_t m = 0; m < kUnit; m += kLanes) {
    const int64_t left = of.rows - row - m;
    for (int64_t p = 0; p < depth.pairs; p += kLanes) {
      __m512i pairs[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        const int64_t k = 2 * (depth.first + p + i);
        const Bf16* from = of.a + k * of.a_column + row + m;
        pairs[i] = _mm512_or_si512(sixteen(from, k < of.depth ? left : 0),
                                   _mm512_slli_epi32(sixteen(from + of.a_column, k + 1 < of.depth ? left : 0), 16));
      }
      transpose(pairs);
      for (int64_t i = 0; i < kLanes; ++i) _mm512_store_si512(to + (m + i) * kDeepest + p, pairs[i]);
    }
  }
}

/// 32 rows of an a whose rows lie where tiles could read them, but for their end; zeros beyond rows and depth.
void copy_rows(const Bf16Factors& of, const Depth& depth, int64_t row, uint32_t* to) {
  for (int64_t m = 0; m < kUnit; ++m) {
    const Bf16* from = of.a + (row + m) * of.a_row + 2 * depth.first;
    const int64_t left = row + m < of.rows ? of.depth - 2 * depth.first : 0;
    for (int64_t p = 0; p < depth.pairs; p += kLanes) {
      _mm512_store_si512(to + m * kDeepest + p, load_row(from + 2 * p, left - 2 * p));
    }
  }
}

Pairs rows_of(const Bf16Factors& of, const Depth& depth, int64_t row, const Workspace& in) {
  if (of.a_column != 1) {
    turn_rows(of, depth, row, in.a_rows);
  } else if (of.rows < kUnit || of.depth % (2 * kLanes) != 0 || of.a_row % 2 != 0) {
    copy_rows(of, depth, row, in.a_rows);
  } else {
    return {pairs_of(of.a + row * of.a_row) + depth.first, of.a_row / 2, 1};
  }
  return {in.a_rows, kDeepest, 1};
}

HWY_INLINE __m512 widened(const Bf16* from, int64_t left) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(sixteen(from, left), 16));
}

/// 32 sums and what is added to them, rounded.  @param beside y, a bias, or null
HWY_INLINE __m512i rounded(const float* sums, const Bf16* beside, int64_t left) {
  __m512 first = _mm512_loadu_ps(sums), second = _mm512_loadu_ps(sums + kLanes);
  if (beside != nullptr) {
    first = _mm512_add_ps(first, widened(beside, left));
    second = _mm512_add_ps(second, widened(beside + kLanes, left - kLanes));
  }
  return narrowed(first, second);
}

void write_row(const float* sums, int64_t columns, const Bf16* beside, Bf16* y) {
  for (int64_t n = 0; n < columns; n += 2 * kLanes) {
    const int64_t left = columns - n;
    const __mmask32 here = left >= 2 * kLanes ? 0xffffffffU : (1U << left) - 1U;
    _mm512_mask_storeu_epi16(y + n, here, rounded(sums + n, beside == nullptr ? nullptr : beside + n, left));
  }
}

/// What write_row would write, in place of the sums.
void round_row(float* sums, int64_t columns, const Bf16* beside) {
  for (int64_t n = 0; n < columns; n += 2 * kLanes) {
    const __m512i both = rounded(sums + n, beside == nullptr ? nullptr : beside + n, columns - n);
    const __m256i halves[] = {_mm512_castsi512_si256(both), _mm512_extracti64x4_epi64(both, 1)};
    for (int64_t i = 0; i < 2; ++i) {
      _mm512_storeu_si512(sums + n + i * kLanes, _mm512_slli_epi32(_mm512_cvtepu16_epi32(halves[i]), 16));
    }
  }
}

/// @param row the first of a block's rows, whose sums are given
void finish_rows(const Bf16Product& product, Turn turn, const ProductPart& part, int64_t begin, int64_t row,
                 float* sums) {
  const int64_t width = rounded_up(part.columns, kUnit);
  for (int64_t r = part.first_row + begin - row; r < std::min(kUnit, product.factors.rows - row); ++r) {
    Bf16* y = product.y + (row + r) * product.y_row + part.first_column;
    const Bf16* beside = beside_of(product, turn, row + r, part.first_column);
    if (turn == Turn::kFirst) {
      round_row(sums + r * width, part.columns, beside);
    } else {
      write_row(sums + r * width, part.columns, beside, y);
    }
  }
}

/// A part of the result that is one piece.
void multiply_piece(const Bf16Product& product, Turn turn, const ProductPart& part, int64_t most_pairs,
                    const Workspace& in) {
  const Bf16Factors& of = factors_of(product, turn);
  const int64_t pairs = rounded_up(of.depth, 2 * kLanes) / 2, width = rounded_up(part.columns, kUnit);
  for (int64_t first = 0; first < pairs; first += most_pairs) {
    const Depth depth{first, std::min(most_pairs, pairs - first)};
    lay_out_panel(of, depth, part.first_column, width, in.panel);
    for (int64_t begin = 0; begin < part.rows; begin += kUnit) {
      // The last block holds rows of the one before it again when the rows are no multiple of 32.
      const int64_t row = std::max<int64_t>(0, std::min(part.first_row + begin, of.rows - kUnit));
      const Pairs a = rows_of(of, depth, row, in);
      float* sums = in.sums + begin * width;
      for (int64_t n = 0; n < width; n += kUnit) {
        if (first == 0 && turn != Turn::kSecond) {
          multiply_tiles<false>(a.data, a.row, in.panel + n, width, depth.pairs, sums + n, width);
        } else {
          multiply_tiles<true>(a.data, a.row, in.panel + n, width, depth.pairs, sums + n, width);
        }
      }
      if (first + depth.pairs == pairs) finish_rows(product, turn, part, begin, row, sums);
    }
  }
}

}  // namespace

void multiply_in_tiles(const Bf16Product& product, const ProductPart& part, float* workspace) {
  const Workspace in(workspace);
  const TileScope tiles;
  const Blocking& blocking = part.rows <= kWide.rows ? kWide : kNarrow;
  for_each_piece(product, part, blocking.rows, blocking.width, [&](Turn turn, const ProductPart& piece) {
    multiply_piece(product, turn, piece, blocking.pairs, in);
  });
}

}  // namespace lathe::kernels
LATHE_BF16_PAIRS_END
#else
namespace lathe::kernels {

void multiply_in_tiles(const Bf16Product&, const ProductPart&, float*) {}

}  // namespace lathe::kernels
#endif

namespace lathe::kernels {

bool multiplies_in_tiles(const Bf16Factors& p) {
  const bool a_fits = p.a_row == 1 || p.a_column == 1, b_fits = p.b_row == 1 || p.b_column == 1;
  return bf16_pairs::tiles_supported() && p.rows >= kFewestInTiles && p.columns >= kFewestInTiles && p.depth > 0 &&
         a_fits && b_fits;
}

}  // namespace lathe::kernels
