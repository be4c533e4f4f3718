#pragma once
// Products of two matrices of a 16-bit type where libraries have none that are fast: by tiles of bf16 (AMX), or by fp32
// on processors without products of the type. Sums are fp32 over the whole depth in one order, whatever part of the
// result a thread has, and rounded once. Nothing is kept laid out between calls: factors are read where they lie, or a
// piece at a time into the workspace.
//
// M rows, K depth, N columns. Nothing is allocated; safe to call concurrently on other parts of a result. NaN and
// infinity reach the results.
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/rounded_up.h"

namespace lathe::kernels {

/// a b.
template <typename T>
struct FactorsOf {
  int64_t rows = 0, depth = 0, columns = 0;
  const T* a = nullptr;  ///< [M,K], element [m,k] at a[m · a_row + k · a_column]
  int64_t a_row = 0, a_column = 0;
  const T* b = nullptr;  ///< [K,N]
  int64_t b_row = 0, b_column = 0;
};

/// y = a b, y += a b, or y = a b + bias. With a second pair of factors, as an adapter's, that is rounded, the second
/// product added, and their sum rounded: as two calls would, but y is not written and read again in between.
template <typename T>
struct ProductOf {
  FactorsOf<T> factors;
  FactorsOf<T> beside;  ///< of the same rows and columns, or all zero: none
  T* y = nullptr;       ///< [M,N], the columns of a row next to one another
  int64_t y_row = 0;
  bool add = false;
  const T* bias = nullptr;  ///< [N], for every row; not with `add`
};

using Bf16Factors = FactorsOf<Bf16>;
using Bf16Product = ProductOf<Bf16>;

/// The part of a result that a call works out. By tiles, rows and columns begin at multiples of kProductUnit and end at
/// one or with the whole.
struct ProductPart {
  int64_t first_row, rows, first_column, columns;
};
inline constexpr int64_t kProductUnit = 32;
inline constexpr int64_t kFewestInTiles = 8;                      ///< rows and columns: fewer waste most of a tile
inline constexpr int64_t kProductWorkspace = int64_t{201} << 10;  ///< floats that a call needs

/// Whether the processor has tiles and these factors fit them: at least kFewestInTiles rows and columns, each factor
/// with one stride of 1. Sizes that are no multiple of 32 end in zeros, which are laid out with the rest.
[[nodiscard]] bool multiplies_in_tiles(const Bf16Factors& factors);
/// Only where it does, with all factors.
void multiply_in_tiles(const Bf16Product& product, const ProductPart& part, float* workspace);

inline constexpr int64_t kWidenedRows = 12, kWidenedColumns = 64;       ///< parts of such multiples waste nothing
inline constexpr int64_t kWidenedMostRows = 2016, kWidenedWidth = 256;  ///< whose sums are added up at once
inline constexpr int64_t kWidenedFactors = 111'232;                     ///< floats, of pieces laid out
/// Floats that multiply_widened needs for a part of so many rows.
[[nodiscard]] constexpr int64_t widened_workspace(int64_t rows) {
  const int64_t most = rows < kWidenedMostRows ? rounded_up(rows, kWidenedRows) : kWidenedMostRows;
  return kWidenedFactors + most * kWidenedWidth;
}
/// By fp32, on any processor: factors are widened while they are laid out.  @param product each factor with one stride
/// of 1; T is Bf16 or F16
template <typename T>
void multiply_widened(const ProductOf<T>& product, const ProductPart& part, float* workspace);

}  // namespace lathe::kernels
