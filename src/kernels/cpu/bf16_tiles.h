#pragma once
// The products of bf16_pairs.h by AMX: 16 rows of 16 fp32 sums a tile, 16 pairs deep. What the tiles read are the same
// layouts: rows of A are read as they lie, panels of B by their columns.
#include <cstring>

#include "kernels/cpu/bf16_layouts.h"
#include "kernels/cpu/bf16_pairs.h"

LATHE_BF16_PAIRS_BEGIN
namespace lathe::kernels::bf16_pairs {

/// Every tile 16 rows of 64 bytes, while it lives; no other code that uses tiles may run in it on this thread.
class TileScope {
 public:
  TileScope() {
    struct alignas(64) Shape {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static_assert(sizeof(Shape) == 64);
    static constexpr Shape kShape;
    _tile_loadconfig(&kShape);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

/// 32 rows and 32 columns of C = or += A B. Rows of A are one after another's pairs; `depth` counts in whole tiles.
template <bool kAdd>
HWY_INLINE void multiply_tiles(const uint32_t* a, int64_t a_row, const uint32_t* b, int64_t b_row, int64_t depth,
                               float* c, int64_t c_row) {
  const int64_t a_bytes = a_row * 4, b_bytes = b_row * 4, c_bytes = c_row * 4;
  // GCC does not say of its loads of tiles that they read memory: what was written before has to be there.
  asm volatile("" ::: "memory");
  if constexpr (kAdd) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + kLanes, c_bytes);
    _tile_loadd(2, c + kLanes * c_row, c_bytes);
    _tile_loadd(3, c + kLanes * c_row + kLanes, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t p = 0; p < depth; p += kLanes) {
    _tile_loadd(4, a + p, a_bytes);
    _tile_loadd(6, b + p * b_row, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + p * b_row + kLanes, b_bytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + kLanes * a_row + p, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + kLanes, c_bytes);
  _tile_stored(2, c + kLanes * c_row, c_bytes);
  _tile_stored(3, c + kLanes * c_row + kLanes, c_bytes);
}

/// As VectorProducts, inside a TileScope. Depths are rounded up to whole tiles: A or B must hold zeros there, the other
/// no NaN that does not belong. Widths are multiples of 32.
struct TileProducts {
  static constexpr int64_t kRows = 32, kColumns = 32;
  using Sums = bf16_pairs::Sums<kRows, 4>;

  static HWY_INLINE void multiply(Pairs a, const uint32_t* b, int64_t depth, Sums& sums) {
    auto* c = reinterpret_cast<float*>(&sums);
    for (int64_t n = 0; n < kPanel; n += kColumns) {
      multiply_tiles<false>(a.data, a.row, b + n, kPanel, depth, c + n, kPanel);
    }
  }
  static HWY_INLINE void add(Pairs a, const uint32_t* b, int64_t panel_rows, int64_t depth, float* c, int64_t width,
                             const float* factors = nullptr) {
    if (factors != nullptr) scale_rows(c, width, factors);
    add_from(a, b, panel_rows, 0, depth, c, width);
  }
  static HWY_INLINE void add_transposed(const uint32_t* a, const uint32_t* b, int64_t panel_rows, int64_t first,
                                        int64_t depth, float* c, int64_t width) {
    constexpr int64_t kDeepest = kBlockRows / 2;
    alignas(64) uint32_t by_column[kRows * kDeepest];
    for (int64_t row = 0; row < kPanel; row += kRows) {
      for (int64_t p = 0; p < depth; p += kLanes) {
        for (int64_t n = 0; n < kRows; n += kLanes) {
          __m512i pairs[kLanes];
          for (int64_t i = 0; i < kLanes; ++i) pairs[i] = _mm512_loadu_si512(a + (p + i) * kPanel + row + n);
          transpose(pairs);
          for (int64_t i = 0; i < kLanes; ++i) _mm512_store_si512(by_column + (n + i) * kDeepest + p, pairs[i]);
        }
      }
      add_from({by_column, kDeepest, 1}, b, panel_rows, first, depth, c + row * width, width);
    }
  }

 private:
  static HWY_INLINE void add_from(Pairs a, const uint32_t* b, int64_t panel_rows, int64_t first, int64_t depth,
                                  float* c, int64_t width) {
    for (int64_t panel = 0; panel < width; panel += kPanel) {
      const int64_t columns = std::min(width - panel, kPanel);
      for (int64_t n = 0; n < columns; n += kColumns) {
        multiply_tiles<true>(a.data, a.row, b + panel * panel_rows + first * columns + n, columns, depth, c + panel + n,
                             width);
      }
    }
  }
  static HWY_INLINE void scale_rows(float* c, int64_t width, const float* factors) {
    for (int64_t r = 0; r < kRows; ++r) {
      if (factors[r] == 1) continue;  // nearly always, once a row has met its highest score
      const __m512 factor = _mm512_set1_ps(factors[r]);
      for (int64_t n = 0; n < width; n += kLanes) {
        _mm512_storeu_ps(c + r * width + n, _mm512_mul_ps(_mm512_loadu_ps(c + r * width + n), factor));
      }
    }
  }
};

}  // namespace lathe::kernels::bf16_pairs
LATHE_BF16_PAIRS_END
