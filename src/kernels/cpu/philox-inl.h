// Philox4x32-10 on vectors, and the draws of 16 bits that kernels/dropout.h describes, once for each instruction set
// (hence no #pragma once).
#if defined(LATHE_KERNELS_CPU_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_PHILOX_INL_H_
#undef LATHE_KERNELS_CPU_PHILOX_INL_H_
#else
#define LATHE_KERNELS_CPU_PHILOX_INL_H_
#endif

#include <algorithm>
#include <array>

#include "kernels/cpu/vector-inl.h"
#include "kernels/dropout.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

using U = hn::Vec<DU>;

struct Product {
  U high, low;
};

/// 32 × 32 → 64 bits in every lane, even and odd lanes apart.
HWY_INLINE Product multiply(U a, U b) {
  const DU d;
#if HWY_TARGET == HWY_SCALAR
  const uint64_t product = uint64_t{hn::GetLane(a)} * hn::GetLane(b);
  return {hn::Set(d, static_cast<uint32_t>(product >> 32)), hn::Set(d, static_cast<uint32_t>(product))};
#else
  const hn::RepartitionToWide<DU> wide;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))), b);
  return {hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even))),
          hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even))};
#endif
}

struct Words {
  U w0, w1, w2, w3;
};

/// philox4x32 (base/philox.h) in every lane.
HWY_INLINE Words philox(Words c, uint32_t key0, uint32_t key1) {
  const DU d;
  const U multiplier0 = hn::Set(d, 0xD2511F53U), multiplier1 = hn::Set(d, 0xCD9E8D57U);
  for (int round = 0; round < 10; ++round) {
    const Product p0 = multiply(c.w0, multiplier0), p1 = multiply(c.w2, multiplier1);
    c = {hn::Xor(hn::Xor(p1.high, c.w1), hn::Set(d, key0)), p1.low, hn::Xor(hn::Xor(p0.high, c.w3), hn::Set(d, key1)),
         p0.low};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return c;
}

/// body(index from `first`, draws below 65,536, Whole or Part) over count elements; neighbours share a vector.
/// @param first a multiple of kDropoutBlock
template <typename Body>
HWY_INLINE void for_each_draw(int64_t first, int64_t count, const std::array<uint32_t, 2>& key,
                              const std::array<uint32_t, 3>& rest, Body body) {
  const DU d;
  const auto lanes = static_cast<int64_t>(std::min<size_t>(hn::Lanes(d), 16));
  for (int64_t begin = 0; begin < count; begin += kDropoutBlock) {
    const auto number = static_cast<uint64_t>((first + begin) / kDropoutBlock * 16);
    for (int64_t lane = 0; lane < 16; lane += lanes) {
      const Words words =
          philox({hn::Add(hn::Set(d, static_cast<uint32_t>(number) + static_cast<uint32_t>(lane)), hn::Iota(d, 0)),
                  hn::Set(d, rest[0] + static_cast<uint32_t>(number >> 32)), hn::Set(d, rest[1]), hn::Set(d, rest[2])},
                 key[0], key[1]);
      const U low = hn::Set(d, 0xffffU);
      const U draws[8] = {hn::And(words.w0, low),       hn::ShiftRight<16>(words.w0), hn::And(words.w1, low),
                          hn::ShiftRight<16>(words.w1), hn::And(words.w2, low),       hn::ShiftRight<16>(words.w2),
                          hn::And(words.w3, low),       hn::ShiftRight<16>(words.w3)};
      for (int64_t i = 0; i < 8; ++i) {
        const int64_t at = begin + 16 * i + lane, left = count - at;
        if (left >= lanes) {
          body(at, draws[i], Whole());
        } else if (left > 0) {
          body(at, draws[i], Part{left});
        }
      }
    }
  }
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
