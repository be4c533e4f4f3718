#include <algorithm>

#include "kernels/cpu/product_pieces.h"
#include "kernels/cpu/targets.h"
#include "kernels/product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/widened_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product-inl.h"

#ifndef LATHE_KERNELS_CPU_WIDENED_PRODUCT_ONCE
#define LATHE_KERNELS_CPU_WIDENED_PRODUCT_ONCE
namespace lathe::kernels {

// A panel of b, 256 KB, and a block of a, 168 KB, are in the second cache while they meet; a strip of the panel, as
// wide as a tile of registers, passes through the first. Sums of many rows are added up over the depth.
constexpr int64_t kDepth = 256, kWidth = kWidenedWidth, kBlockRows = 168, kMostRows = kWidenedMostRows;
constexpr int64_t kBlockRow = kDepth + 16;  // rows a power of two apart would meet in the same lines of the cache
constexpr int64_t kTurned = 8;              // elements of a column of b that are turned at a time
constexpr int64_t kLine = 32;               // elements of a line of the cache
constexpr int64_t kAhead = 4;               // rows: asked for while this one is laid out, for weights come from memory
static_assert(kBlockRows % kWidenedRows == 0 && kMostRows % kBlockRows == 0 && kWidth % kWidenedColumns == 0);
static_assert(kWidenedFactors == kDepth * kWidth + kBlockRows * kBlockRow);

/// Elements [first, first + count) of the depth.
struct Depth {
  int64_t first, count;
};

struct WidenedWorkspace {
  float* panel;  // strips of [kDepth][strip]
  float* block;  // [kBlockRows][kBlockRow] of a, or [kDepth][kBlockRows]
  float* sums;   // [rows][kWidth]
};

}  // namespace lathe::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

static_assert(kWidenedRows % kTileRows == 0 && kWidenedColumns % kStrip == 0);

template <typename T>
HWY_INLINE void widen(const T* from, int64_t count, float* to) {
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR { store(load(from + i, part), to + i, Whole()); });
}

// turn: kTurned elements of each of kLanes columns, `stride` apart → [kTurned][kLanes], rows kStrip apart.
#if HWY_TARGET == HWY_SCALAR
template <typename T>
void turn(const T* from, int64_t, float* to) {
  for (int64_t k = 0; k < kTurned; ++k) store(load(from + k, Whole()), to + k * kStrip, Whole());
}
#else
/// The elements in the low and in the high half of each lane.
HWY_INLINE V low_of(const Bf16*, hn::Vec<DU> both) {
  return hn::BitCast(D(), hn::ShiftLeft<16>(both));
}
HWY_INLINE V high_of(const Bf16*, hn::Vec<DU> both) {
  return hn::BitCast(D(), hn::And(both, hn::Set(DU(), 0xffff0000U)));
}
HWY_INLINE V low_of(const F16*, hn::Vec<DU> both) {
  return value_of_f16(hn::And(both, hn::Set(DU(), 0xffffU)));
}
HWY_INLINE V high_of(const F16*, hn::Vec<DU> both) {
  return value_of_f16(hn::ShiftRight<16>(both));
}

/// Each 128 bits from another column, `columns` elements on: eight elements of it.
template <typename DPart, typename T>
HWY_INLINE hn::Vec<DPart> load_apart(DPart d, const T* from, int64_t columns) {
  if constexpr (hn::MaxLanes(d) <= 4) {
    return hn::LoadU(d, reinterpret_cast<const uint32_t*>(from));
  } else {
    const hn::Half<DPart> half;
    const T* upper = from + static_cast<int64_t>(hn::MaxLanes(half)) / 4 * columns;
    return hn::Combine(d, load_apart(half, upper, columns), load_apart(half, from, columns));
  }
}

/// Lane 4 j + r of a result comes from 128 bits j of vector r.
template <typename T>
HWY_INLINE void turn(const T* from, int64_t stride, float* to) {
  const DU d;
  const hn::Repartition<uint64_t, DU> d64;
  const auto as64 = [&](auto v) HWY_ATTR { return hn::BitCast(d64, v); };
  const auto r0 = load_apart(d, from, 4 * stride), r1 = load_apart(d, from + stride, 4 * stride),
             r2 = load_apart(d, from + 2 * stride, 4 * stride), r3 = load_apart(d, from + 3 * stride, 4 * stride);
  const auto lower01 = as64(hn::InterleaveLower(d, r0, r1)), upper01 = as64(hn::InterleaveUpper(d, r0, r1)),
             lower23 = as64(hn::InterleaveLower(d, r2, r3)), upper23 = as64(hn::InterleaveUpper(d, r2, r3));
  const auto write = [&](int64_t pair, auto both64) HWY_ATTR {
    const auto both = hn::BitCast(d, both64);
    store(low_of(from, both), to + 2 * pair * kStrip, Whole());
    store(high_of(from, both), to + (2 * pair + 1) * kStrip, Whole());
  };
  write(0, hn::InterleaveLower(d64, lower01, lower23));
  write(1, hn::InterleaveUpper(d64, lower01, lower23));
  write(2, hn::InterleaveLower(d64, upper01, upper23));
  write(3, hn::InterleaveUpper(d64, upper01, upper23));
}
#endif

/// A b whose columns lie next to one another, [kLanes] of them from `column` on; zeros beyond its columns. Writes whole
/// kTurned of the depth.
template <typename T>
void turn_columns(const FactorsOf<T>& of, const Depth& depth, int64_t column, float* to) {
  const int64_t columns = std::min(kLanes, of.columns - column);
  for (int64_t k = 0; k < depth.count; k += kTurned) {
    const T* from = of.b + column * of.b_column + depth.first + k;
    const int64_t left = std::min(kTurned, depth.count - k);
    if (columns == kLanes && left == kTurned) {
      for (int64_t n = 0; k % kLine == 0 && n < kLanes; ++n) __builtin_prefetch(from + (n + kLanes) * of.b_column);
      turn(from, of.b_column, to + k * kStrip);
    } else {
      T whole[kLanes][kTurned] = {};
      for (int64_t n = 0; n < columns; ++n) std::copy_n(from + n * of.b_column, left, whole[n]);
      turn(whole[0], kTurned, to + k * kStrip);
    }
  }
}

/// [depth][width] of b, by strips; zeros beyond its columns.
template <typename T>
void lay_out_panel(const FactorsOf<T>& of, const Depth& depth, int64_t column, int64_t width, float* to) {
  const auto place = [&](int64_t n) { return to + n / kStrip * kStrip * kDepth + n % kStrip; };
  if (of.b_column != 1) {
    for (int64_t n = 0; n < width; n += kLanes) turn_columns(of, depth, column + n, place(n));
    return;
  }
  for (int64_t k = 0; k < depth.count; ++k) {
    const T* from = of.b + (depth.first + k) * of.b_row + column;
    for (int64_t n = 0; n < width; n += kLine) __builtin_prefetch(from + kAhead * of.b_row + n);
    for (int64_t n = 0; n < width; n += kLanes) {
      float* into = place(n) + k * kStrip;
      if (const int64_t left = of.columns - column - n; left >= kLanes) {
        store(load(from + n, Whole()), into, Whole());
      } else {
        store(left > 0 ? load(from + n, Part{left}) : hn::Zero(D()), into, Whole());
      }
    }
  }
}

/// `rows` rows of a from `row` on, and zeros up to a whole tile.
template <typename T>
Strided lay_out_block(const FactorsOf<T>& of, const Depth& depth, int64_t row, int64_t rows, float* to) {
  const int64_t whole = rounded_up(rows, kTileRows);
  if (of.a_column != 1) {  // its rows lie next to one another
    for (int64_t k = 0; k < depth.count; ++k) {
      float* into = to + k * kBlockRows;
      std::fill(into + rows, into + whole, 0.0F);
      const T* from = of.a + (depth.first + k) * of.a_column + row;
      for_each_vector(rows, [&](int64_t m, auto part) HWY_ATTR { store(load(from + m, part), into + m, part); });
    }
    return {to, 1, kBlockRows};
  }
  for (int64_t m = 0; m < rows; ++m) {
    const T* from = of.a + (row + m) * of.a_row + depth.first;
    for (int64_t k = 0; k < depth.count; k += kLine) __builtin_prefetch(from + kAhead * of.a_row + k);
    widen(from, depth.count, to + m * kBlockRow);
  }
  for (int64_t m = rows; m < whole; ++m) std::fill_n(to + m * kBlockRow, depth.count, 0.0F);
  return {to, kBlockRow, 1};
}

template <typename T>
void finish_row(const ProductOf<T>& product, Turn turn, int64_t row, int64_t column, int64_t columns, float* sums) {
  T* y = product.y + row * product.y_row + column;
  const T* beside = beside_of(product, turn, row, column);
  for_each_vector(columns, [&](int64_t n, auto part) HWY_ATTR {
    V sum = load(sums + n, Whole());
    if (beside != nullptr) sum = hn::Add(sum, load(beside + n, part));
    if (turn == Turn::kFirst) {
      store(round_to<T>(sum), sums + n, Whole());
    } else {
      store(sum, y + n, part);
    }
  });
}

template <int kVectors>
void multiply_strip(const Strided& a, const float* strip, int64_t rows, int64_t depth, bool add, float* sums) {
  for (int64_t m = 0; m < rows; m += kTileRows) {
    product_tile<kTileRows, kVectors>({a.data + m * a.row, a.row, a.column}, strip, kStrip, sums + m * kWidth, kWidth,
                                      depth, add);
  }
}

/// A part of the result that is one piece: at most kMostRows and kWidth.
template <typename T>
void multiply_piece(const ProductOf<T>& product, Turn turn, const ProductPart& part, const WidenedWorkspace& in) {
  const FactorsOf<T>& of = factors_of(product, turn);
  const int64_t width = rounded_up(part.columns, kStrip);
  for (int64_t first = 0; first == 0 || first < of.depth; first += kDepth) {  // without depth: zeros
    const Depth depth{first, std::min(kDepth, of.depth - first)};
    lay_out_panel(of, depth, part.first_column, width, in.panel);
    for (int64_t row = 0; row < part.rows; row += kBlockRows) {
      const int64_t rows = std::min(kBlockRows, part.rows - row);
      const Strided a = lay_out_block(of, depth, part.first_row + row, rows, in.block);
      for (int64_t n = 0; n < width; n += kStrip) {
        const float* strip = in.panel + n * kDepth;
        float* sums = in.sums + row * kWidth + n;
        const bool add = first > 0 || turn == Turn::kSecond;
        // Narrow adapters fill one vector or two of a strip.
        if (const int64_t left = part.columns - n; left <= kLanes) {
          multiply_strip<1>(a, strip, rows, depth.count, add, sums);
        } else if (left <= 2 * kLanes) {
          multiply_strip<2>(a, strip, rows, depth.count, add, sums);
        } else {
          multiply_strip<kTileVectors>(a, strip, rows, depth.count, add, sums);
        }
      }
    }
  }
  for (int64_t row = 0; row < part.rows; ++row) {
    finish_row(product, turn, part.first_row + row, part.first_column, part.columns, in.sums + row * kWidth);
  }
}

template <typename T>
void multiply_part(const ProductOf<T>& product, const ProductPart& part, const WidenedWorkspace& in) {
  for_each_piece(product, part, kMostRows, kWidth,
                 [&](Turn turn, const ProductPart& piece) HWY_ATTR { multiply_piece(product, turn, piece, in); });
}

void multiply_bf16(const Bf16Product& product, const ProductPart& part, const WidenedWorkspace& in) {
  multiply_part(product, part, in);
}
void multiply_f16(const ProductOf<F16>& product, const ProductPart& part, const WidenedWorkspace& in) {
  multiply_part(product, part, in);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(multiply_bf16);
HWY_EXPORT(multiply_f16);

namespace {

WidenedWorkspace pieces_of(float* workspace) {
  return {workspace, workspace + kDepth * kWidth, workspace + kWidenedFactors};
}

}  // namespace

template <>
void multiply_widened(const Bf16Product& product, const ProductPart& part, float* workspace) {
  HWY_DYNAMIC_DISPATCH(multiply_bf16)(product, part, pieces_of(workspace));
}
template <>
void multiply_widened(const ProductOf<F16>& product, const ProductPart& part, float* workspace) {
  HWY_DYNAMIC_DISPATCH(multiply_f16)(product, part, pieces_of(workspace));
}

}  // namespace lathe::kernels
#endif
