// A small dense product in fp32, blocked for registers, once for each instruction set (hence no #pragma once).
#if defined(LATHE_KERNELS_CPU_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_PRODUCT_INL_H_
#undef LATHE_KERNELS_CPU_PRODUCT_INL_H_
#else
#define LATHE_KERNELS_CPU_PRODUCT_INL_H_
#endif

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

/// A factor that is read element by element: row r, column p at data[r · row + p · column].
struct Strided {
  const float* data;
  int64_t row, column;
};

// What fits in the registers beside a row's vectors of b and one element of a: 32 of them with AVX-512, 16 with AVX2.
constexpr int kTileRows = 6;
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileVectors = 4;
#else
constexpr int kTileVectors = 2;
#endif
constexpr int64_t kLanes = hn::MaxLanes(D()), kStrip = kTileVectors * kLanes;  // columns of a vector, of a tile

/// kRows × (kVectors · lanes) of C (+)= A B over `depth`.
template <int kRows, int kVectors>
HWY_INLINE void product_tile(Strided a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t depth,
                             bool add) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) sum[r][n] = add ? hn::LoadU(d, c + r * c_row + n * lanes) : hn::Zero(d);
  }
  for (int64_t p = 0; p < depth; ++p) {
    V columns[kVectors];
    for (int n = 0; n < kVectors; ++n) columns[n] = hn::LoadU(d, b + p * b_row + n * lanes);
    for (int r = 0; r < kRows; ++r) {
      const V element = hn::Set(d, a.data[r * a.row + p * a.column]);
      for (int n = 0; n < kVectors; ++n) sum[r][n] = hn::MulAdd(element, columns[n], sum[r][n]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) hn::StoreU(sum[r][n], d, c + r * c_row + n * lanes);
  }
}

template <int kVectors>
HWY_INLINE void product_columns(Strided a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t rows,
                                int64_t depth, bool add) {
  int64_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows) {
    product_tile<kTileRows, kVectors>({a.data + r * a.row, a.row, a.column}, b, b_row, c + r * c_row, c_row, depth,
                                      add);
  }
  for (; r < rows; ++r) {
    product_tile<1, kVectors>({a.data + r * a.row, a.row, a.column}, b, b_row, c + r * c_row, c_row, depth, add);
  }
}

/// A factor that is read by vectors, in strips as wide as a tile: row p of strip n begins at data[n · strip + p · row].
/// Strips whose rows follow one another keep to few lines and pages; strip = kStrip is a plain matrix.
struct Strips {
  const float* data;
  int64_t row, strip;
};

template <int kVectors>
HWY_INLINE void product_rest(int64_t vectors, Strided a, const float* b, int64_t b_row, float* c, int64_t c_row,
                             int64_t rows, int64_t depth, bool add) {
  if constexpr (kVectors > 0) {
    if (vectors == kVectors) return product_columns<kVectors>(a, b, b_row, c, c_row, rows, depth, add);
    product_rest<kVectors - 1>(vectors, a, b, b_row, c, c_row, rows, depth, add);
  }
}

// Rows of a strip that meet all rows of A while they are in the first cache: 32 KB with AVX-512, 8 KB with AVX2.
constexpr int64_t kProductDepth = 128;

/// C [rows, columns] = A [rows, depth] · B [depth, columns], added to C when `add`. B and C hold whole vectors: columns
/// is rounded up to lanes, and what lies there must be readable and writable.
HWY_INLINE void product(Strided a, Strips b, float* c, int64_t c_row, int64_t rows, int64_t columns, int64_t depth,
                        bool add) {
  for (int64_t p = 0; p < depth; p += kProductDepth) {
    const int64_t count = HWY_MIN(kProductDepth, depth - p);
    const Strided of{a.data + p * a.column, a.row, a.column};
    const float* strip = b.data + p * b.row;
    float* to = c;
    int64_t vectors = (columns + kLanes - 1) / kLanes;
    for (; vectors >= kTileVectors; vectors -= kTileVectors, strip += b.strip, to += kStrip) {
      product_columns<kTileVectors>(of, strip, b.row, to, c_row, rows, count, add || p > 0);
    }
    product_rest<kTileVectors - 1>(vectors, of, strip, b.row, to, c_row, rows, count, add || p > 0);
  }
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
