#include "kernels/product.h"

#include "kernels/cpu/bf16_support.h"

#if LATHE_BF16_PAIRS
#include "kernels/cpu/bf16_layouts.h"
#include "kernels/cpu/bf16_tiles.h"

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
  uint32_t* a_rows;  // [32][kDeepest] of a, where its rows have to be laid out
  float* sums;       // [blocks of 32 rows][32][width]
};

/// Pairs [first, first + pairs) of the depth, the last of them perhaps beyond it: zero there.
struct Depth {
  int64_t first, pairs;
};

/// Weights come from memory: the row so many rows further on is asked for while this one is laid out.
constexpr int64_t kAhead = 16;

/// `from`: 16 rows, `stride` apart, `left` elements each → [16 pairs][16 rows].
HWY_INLINE void turn(const Bf16* from, int64_t stride, int64_t left, uint32_t* to, int64_t to_row) {
  for (int64_t i = 0; i < kLanes; ++i) _mm_prefetch(from + (i + kAhead) * stride, _MM_HINT_T0);
  __m512i rows[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) rows[i] = load_row(from + i * stride, left);
  transpose(rows);
  for (int64_t i = 0; i < kLanes; ++i) _mm512_storeu_si512(to + i * to_row, rows[i]);
}

/// Row k of b and the next one, `width` columns, as pairs. Rows beyond the depth are zero.
HWY_INLINE void pair_rows(const Bf16Product& of, int64_t k, int64_t column, int64_t width, uint32_t* to) {
  const Bf16 *even = of.b + k * of.b_row + column, *odd = even + of.b_row;
  for (int64_t n = 0; n < width; n += 2 * kLanes) {
    _mm_prefetch(even + kAhead * of.b_row + n, _MM_HINT_T0);
    _mm_prefetch(odd + kAhead * of.b_row + n, _MM_HINT_T0);
    store_paired(k < of.depth ? _mm512_loadu_si512(even + n) : _mm512_setzero_si512(),
                 k + 1 < of.depth ? _mm512_loadu_si512(odd + n) : _mm512_setzero_si512(), to + n);
  }
}

void lay_out_panel(const Bf16Product& of, const Depth& depth, int64_t column, int64_t width, uint32_t* to) {
  if (of.b_column == 1) {
    for (int64_t p = 0; p < depth.pairs; ++p) pair_rows(of, 2 * (depth.first + p), column, width, to + p * width);
    return;
  }
  for (int64_t n = 0; n < width; n += kLanes) {
    for (int64_t p = 0; p < depth.pairs; p += kLanes) {
      const int64_t k = 2 * (depth.first + p);
      turn(of.b + (column + n) * of.b_column + k, of.b_column, of.depth - k, to + p * width + n, width);
    }
  }
}

HWY_INLINE __m512i sixteen(const Bf16* from, bool here) {
  if (!here) return _mm512_setzero_si512();
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

/// 32 rows of an a whose columns lie next to one another.
void lay_out_rows(const Bf16Product& of, const Depth& depth, int64_t row, uint32_t* to) {
  for (int64_t m = 0; m < kUnit; m += kLanes) {
    for (int64_t p = 0; p < depth.pairs; p += kLanes) {
      __m512i pairs[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        const int64_t k = 2 * (depth.first + p + i);
        const Bf16* from = of.a + k * of.a_column + row + m;
        pairs[i] = _mm512_or_si512(sixteen(from, k < of.depth),
                                   _mm512_slli_epi32(sixteen(from + of.a_column, k + 1 < of.depth), 16));
      }
      transpose(pairs);
      for (int64_t i = 0; i < kLanes; ++i) _mm512_store_si512(to + (m + i) * kDeepest + p, pairs[i]);
    }
  }
}

Pairs rows_of(const Bf16Product& of, const Depth& depth, int64_t row, const Workspace& in) {
  if (of.a_column == 1) return {pairs_of(of.a + row * of.a_row) + depth.first, of.a_row / 2, 1};
  lay_out_rows(of, depth, row, in.a_rows);
  return {in.a_rows, kDeepest, 1};
}

HWY_INLINE __m512 widened(const Bf16* from) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(sixteen(from, true), 16));
}

/// @param beside what is added to the sums; may be y, or null
void write_row(const float* sums, int64_t width, const Bf16* beside, Bf16* y) {
  for (int64_t n = 0; n < width; n += 2 * kLanes) {
    __m512 first = _mm512_loadu_ps(sums + n), second = _mm512_loadu_ps(sums + n + kLanes);
    if (beside != nullptr) {
      first = _mm512_add_ps(first, widened(beside + n));
      second = _mm512_add_ps(second, widened(beside + n + kLanes));
    }
    _mm512_storeu_si512(y + n, narrowed(first, second));
  }
}

/// A part of the result that is one piece.
void multiply_piece(const Bf16Product& of, const ProductPart& part, int64_t most_pairs, const Workspace& in) {
  const int64_t pairs = rounded_up(of.depth, 2 * kLanes) / 2, width = part.columns;
  for (int64_t first = 0; first < pairs; first += most_pairs) {
    const Depth depth{first, std::min(most_pairs, pairs - first)};
    lay_out_panel(of, depth, part.first_column, width, in.panel);
    for (int64_t begin = 0; begin < part.rows; begin += kUnit) {
      // The last block holds rows of the one before it again when the rows are no multiple of 32.
      const int64_t row = std::min(part.first_row + begin, of.rows - kUnit);
      const Pairs a = rows_of(of, depth, row, in);
      float* sums = in.sums + begin * width;
      for (int64_t n = 0; n < width; n += kUnit) {
        if (first == 0) {
          multiply_tiles<false>(a.data, a.row, in.panel + n, width, depth.pairs, sums + n, width);
        } else {
          multiply_tiles<true>(a.data, a.row, in.panel + n, width, depth.pairs, sums + n, width);
        }
      }
      if (first + depth.pairs < pairs) continue;
      for (int64_t r = part.first_row + begin - row; r < kUnit; ++r) {
        Bf16* y = of.y + (row + r) * of.y_row + part.first_column;
        const Bf16* bias = of.bias == nullptr ? nullptr : of.bias + part.first_column;
        write_row(sums + r * width, width, of.add ? y : bias, y);
      }
    }
  }
}

}  // namespace

void multiply_in_tiles(const Bf16Product& product, const ProductPart& part, float* workspace) {
  const Workspace in(workspace);
  const TileScope tiles;
  const Blocking& blocking = part.rows <= kWide.rows ? kWide : kNarrow;
  for (int64_t row = 0; row < part.rows; row += blocking.rows) {
    for (int64_t column = 0; column < part.columns; column += blocking.width) {
      const ProductPart piece{part.first_row + row, std::min(blocking.rows, part.rows - row),
                              part.first_column + column, std::min(blocking.width, part.columns - column)};
      multiply_piece(product, piece, blocking.pairs, in);
    }
  }
}

}  // namespace lathe::kernels
LATHE_BF16_PAIRS_END
#else
namespace lathe::kernels {

void multiply_in_tiles(const Bf16Product&, const ProductPart&, float*) {}

}  // namespace lathe::kernels
#endif

namespace lathe::kernels {

bool multiplies_in_tiles(const Bf16Product& p) {
  const bool a_fits = p.a_column == 1 ? p.depth % kProductUnit == 0 && p.a_row % 2 == 0 : p.a_row == 1;
  const bool b_fits = p.b_row == 1 || p.b_column == 1;
  return bf16_pairs::tiles_supported() && p.rows >= kProductUnit && p.columns % kProductUnit == 0 && p.depth > 0 &&
         a_fits && b_fits;
}

}  // namespace lathe::kernels
