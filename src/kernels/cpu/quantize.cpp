#include "kernels/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/quantize.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

using I = hn::Vec<DI>;

/// Largest magnitude; NaN when there is one.
HWY_INLINE float largest_magnitude(const float* x, int64_t count) {
  V largest = hn::Zero(D());
  auto unordered = hn::IsNaN(largest);
  for_each_vector(count, [&](int64_t i, auto part) HWY_ATTR {
    const V magnitude = hn::Abs(load(x + i, part));
    unordered = hn::Or(unordered, hn::IsNaN(magnitude));
    largest = hn::Max(largest, magnitude);
  });
  if (!hn::AllFalse(D(), unordered)) return std::numeric_limits<float>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(D(), largest));
}

/// Between which of the 15 bounds each value lies. A bound belongs to what is below it; NaN lies above all.
HWY_INLINE void find_ranks(const float* scaled, const float* bounds, int32_t* ranks) {
  const DI di;
  for_each_vector(kFourBitBlock, [&](int64_t i, auto part) HWY_ATTR {
    const V v = load(scaled + i, part);
    I rank = hn::Set(di, 15);
    for (int k = 0; k < 15; ++k) {
      rank = hn::Add(rank, hn::VecFromMask(di, hn::RebindMask(di, hn::Ge(hn::Set(D(), bounds[k]), v))));
    }
    store(hn::BitCast(D(), rank), reinterpret_cast<float*>(ranks) + i, part);
  });
}

void quantize_blocks(const float* x, uint8_t* codes, float* absmax, int64_t count, const float* bounds,
                     const uint8_t* order) {
  HWY_ALIGN float scaled[kFourBitBlock];
  HWY_ALIGN int32_t ranks[kFourBitBlock];
  for (int64_t begin = 0; begin < count; begin += kFourBitBlock) {
    const int64_t size = std::min(kFourBitBlock, count - begin);
    const float largest = largest_magnitude(x + begin, size);
    const float divisor = largest < 1e-38F ? 1e-38F : largest;
    absmax[begin / kFourBitBlock] = size == kFourBitBlock ? largest : divisor;
    if (size == kFourBitBlock) {
      const V factor = hn::Set(D(), 1 / divisor);
      for_each_vector(size, [&](int64_t i, auto part)
                                HWY_ATTR { store(hn::Mul(load(x + begin + i, part), factor), scaled + i, part); });
    } else {
      std::fill(scaled, scaled + kFourBitBlock, 0.0F);
      for (int64_t i = 0; i < size; ++i) scaled[i] = x[begin + i] / divisor;
    }
    find_ranks(scaled, bounds, ranks);
    for (int64_t i = 0; i < size; i += 2) {
      codes[(begin + i) / 2] = static_cast<uint8_t>(order[ranks[i]] << 4 | order[ranks[i + 1]]);
    }
  }
}

/// 16 values in as many vectors as they fill, for look-ups by lane.
template <size_t kLanes>
struct Table {
  hn::Vec<DI> part[kLanes >= 16 ? 1 : 2];
};

/// @param index 0..15
template <size_t kLanes>
HWY_INLINE I look_up(const Table<kLanes>& table, I index) {
  const DI di;
  if constexpr (kLanes >= 16) {
    return hn::TableLookupLanes(table.part[0], hn::IndicesFromVec(di, index));
  } else {
    const I low = hn::And(index, hn::Set(di, 7));
    const auto lanes = hn::IndicesFromVec(di, low);
    return hn::IfThenElse(hn::Gt(index, hn::Set(di, 7)), hn::TableLookupLanes(table.part[1], lanes),
                          hn::TableLookupLanes(table.part[0], lanes));
  }
}

/// The 16 values of a block, rounded to T: fp32 bits, a bf16 in the high half of each, or a half in the low one.
template <typename T>
HWY_INLINE I opened_values(const float* values, V scale) {
  const V opened = hn::Mul(hn::LoadU(D(), values), scale);
  if constexpr (std::is_same_v<T, F16>) return hn::BitCast(DI(), bits_of_f16(opened));
  return hn::BitCast(DI(), round_to<T>(opened));
}

template <typename T>
void open_one_by_one(const uint8_t* codes, float absmax, T* y, int64_t count, const float* values) {
  for (int64_t i = 0; i < count; ++i) {
    const int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    HWY_ALIGN T lanes[hn::MaxLanes(D())];
    store(hn::Set(D(), values[code] * absmax), lanes, Whole());
    y[i] = lanes[0];
  }
}

#if HWY_TARGET != HWY_SCALAR
/// Each byte gives two elements, which lie beside each other in y: a byte a lane, the first code's value and the
/// second's.
HWY_INLINE void store_pairs(I first, I second, float* y) {
  hn::StoreInterleaved2(hn::BitCast(D(), first), hn::BitCast(D(), second), D(), y);
}

HWY_INLINE void store_pairs(I first, I second, Bf16* y) {
  const I pair = hn::Or(hn::BitCast(DI(), hn::ShiftRight<16>(hn::BitCast(DU(), first))), second);
  hn::StoreU(pair, DI(), reinterpret_cast<int32_t*>(y));
}

HWY_INLINE void store_pairs(I first, I second, F16* y) {
  hn::StoreU(hn::Or(first, hn::ShiftLeft<16>(second)), DI(), reinterpret_cast<int32_t*>(y));
}

template <typename T>
HWY_INLINE void open_block(const uint8_t* codes, float absmax, T* y, const float* values) {
  constexpr size_t kLanes = hn::MaxLanes(D());
  const DI di;
  const hn::Rebind<uint8_t, DI> bytes;
  const V scale = hn::Set(D(), absmax);
  Table<kLanes> table;
  table.part[0] = opened_values<T>(values, scale);
  if constexpr (kLanes < 16) table.part[1] = opened_values<T>(values + kLanes, scale);
  for (size_t i = 0; i < kFourBitBlock / 2; i += kLanes) {
    const I both = hn::PromoteTo(di, hn::LoadU(bytes, codes + i));
    const I first = look_up(table, hn::ShiftRight<4>(both));
    const I second = look_up(table, hn::And(both, hn::Set(di, 15)));
    store_pairs(first, second, y + 2 * i);
  }
}
#endif

template <typename T>
void open_blocks(const uint8_t* codes, const float* absmax, T* y, int64_t count, const float* values) {
  int64_t begin = 0;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(D()) >= 8) {
    for (; begin + kFourBitBlock <= count; begin += kFourBitBlock) {
      open_block(codes + begin / 2, absmax[begin / kFourBitBlock], y + begin, values);
    }
  }
#endif
  for (; begin < count; begin += kFourBitBlock) {
    open_one_by_one(codes + begin / 2, absmax[begin / kFourBitBlock], y + begin, std::min(kFourBitBlock, count - begin),
                    values);
  }
}

void open_blocks_f32(const uint8_t* codes, const float* absmax, float* y, int64_t count, const float* values) {
  open_blocks(codes, absmax, y, count, values);
}
void open_blocks_bf16(const uint8_t* codes, const float* absmax, Bf16* y, int64_t count, const float* values) {
  open_blocks(codes, absmax, y, count, values);
}
void open_blocks_f16(const uint8_t* codes, const float* absmax, F16* y, int64_t count, const float* values) {
  open_blocks(codes, absmax, y, count, values);
}

void quantize_rows(const float* x, int8_t* codes, float* absmax, int64_t rows, int64_t width) {
  HWY_ALIGN float rounded[hn::MaxLanes(D())];
  for (int64_t row = 0; row < rows; ++row, x += width, codes += width) {
    const float largest = largest_magnitude(x, width);
    absmax[row] = largest;
    if (largest == 0) {
      std::fill(codes, codes + width, int8_t{0});
      continue;
    }
    const V factor = hn::Set(D(), 1 / largest * 127);
    for_each_vector(width, [&](int64_t i, auto part) HWY_ATTR {
      const V scaled = hn::Mul(load(x + i, part), factor);
      store(hn::Round(hn::IfThenElse(hn::IsNaN(scaled), hn::Zero(D()), scaled)), rounded, Whole());
      const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
      for (int64_t k = 0; k < std::min(lanes, width - i); ++k) codes[i + k] = static_cast<int8_t>(rounded[k]);
    });
  }
}

template <typename T>
void open_rows(const int8_t* codes, const float* absmax, T* y, int64_t rows, int64_t width) {
  const hn::Rebind<int8_t, D> bytes;
  for (int64_t row = 0; row < rows; ++row, codes += width, y += width) {
    const V scale = hn::Set(D(), absmax[row] * (1.0F / 127));
    for_each_vector(width, [&](int64_t i, auto part) HWY_ATTR {
      HWY_ALIGN int8_t held[hn::MaxLanes(D())] = {};
      const int8_t* from = codes + i;
      if constexpr (std::is_same_v<decltype(part), Part>) {
        std::copy(from, from + part.count, held);
        from = held;
      }
      const V wide = hn::ConvertTo(D(), hn::PromoteTo(DI(), hn::LoadU(bytes, from)));
      store(hn::Mul(wide, scale), y + i, part);
    });
  }
}

void open_rows_f32(const int8_t* codes, const float* absmax, float* y, int64_t rows, int64_t width) {
  open_rows(codes, absmax, y, rows, width);
}
void open_rows_bf16(const int8_t* codes, const float* absmax, Bf16* y, int64_t rows, int64_t width) {
  open_rows(codes, absmax, y, rows, width);
}
void open_rows_f16(const int8_t* codes, const float* absmax, F16* y, int64_t rows, int64_t width) {
  open_rows(codes, absmax, y, rows, width);
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lathe::kernels {
HWY_EXPORT(quantize_blocks);
HWY_EXPORT(open_blocks_f32);
HWY_EXPORT(open_blocks_bf16);
HWY_EXPORT(open_blocks_f16);
HWY_EXPORT(quantize_rows);
HWY_EXPORT(open_rows_f32);
HWY_EXPORT(open_rows_bf16);
HWY_EXPORT(open_rows_f16);

namespace {

/// The codes from the smallest value to the largest, and the middles between neighbours.
struct Bounds {
  explicit Bounds(const std::array<float, 16>& values) {
    std::iota(order.begin(), order.end(), uint8_t{0});
    std::stable_sort(order.begin(), order.end(), [&](uint8_t a, uint8_t b) { return values[a] < values[b]; });
    for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = (values[order[i]] + values[order[i + 1]]) / 2;
  }
  std::array<uint8_t, 16> order{};
  std::array<float, 15> bounds{};
};

}  // namespace

void quantize_4bit(const float* x, uint8_t* codes, float* absmax, int64_t count, FourBitType type) {
  static const Bounds nf4(four_bit_values(FourBitType::kNf4)), fp4(four_bit_values(FourBitType::kFp4));
  const Bounds& chosen = type == FourBitType::kNf4 ? nf4 : fp4;
  HWY_DYNAMIC_DISPATCH(quantize_blocks)(x, codes, absmax, count, chosen.bounds.data(), chosen.order.data());
}

void dequantize_4bit(const uint8_t* codes, const float* absmax, float* y, int64_t count, FourBitType type) {
  HWY_DYNAMIC_DISPATCH(open_blocks_f32)(codes, absmax, y, count, four_bit_values(type).data());
}

void dequantize_4bit(const uint8_t* codes, const float* absmax, Bf16* y, int64_t count, FourBitType type) {
  HWY_DYNAMIC_DISPATCH(open_blocks_bf16)(codes, absmax, y, count, four_bit_values(type).data());
}

void dequantize_4bit(const uint8_t* codes, const float* absmax, F16* y, int64_t count, FourBitType type) {
  HWY_DYNAMIC_DISPATCH(open_blocks_f16)(codes, absmax, y, count, four_bit_values(type).data());
}

void quantize_absmax(const float* x, uint8_t* codes, float* nested, int64_t count) {
  quantize_blockwise(x, codes, nested, count, DynamicMap::kSigned);
}

void dequantize_absmax(const uint8_t* codes, const float* nested, float offset, float* absmax, int64_t first,
                       int64_t count) {
  const std::array<float, 256>& map = dynamic_map_values(DynamicMap::kSigned);
  for (int64_t i = 0; i < count; ++i) absmax[i] = map[codes[i]] * nested[(first + i) / kAbsmaxBlock] + offset;
}

void quantize_int8(const float* x, int8_t* codes, float* absmax, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(quantize_rows)(x, codes, absmax, rows, width);
}

void dequantize_int8(const int8_t* codes, const float* absmax, float* y, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(open_rows_f32)(codes, absmax, y, rows, width);
}

void dequantize_int8(const int8_t* codes, const float* absmax, Bf16* y, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(open_rows_bf16)(codes, absmax, y, rows, width);
}

void dequantize_int8(const int8_t* codes, const float* absmax, F16* y, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(open_rows_f16)(codes, absmax, y, rows, width);
}

}  // namespace lathe::kernels
#endif
