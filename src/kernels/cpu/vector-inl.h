// Loads, stores, rounding, reductions and exp on fp32 vectors, once for each instruction set (hence no #pragma once).
#if defined(LATHE_KERNELS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATHE_KERNELS_CPU_VECTOR_INL_H_
#undef LATHE_KERNELS_CPU_VECTOR_INL_H_
#else
#define LATHE_KERNELS_CPU_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/f16.h"

HWY_BEFORE_NAMESPACE();
namespace lathe::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using DU = hn::RebindToUnsigned<D>;
using D16 = hn::Rebind<uint16_t, D>;
using V = hn::Vec<D>;

/// All lanes of a vector, or the first few at the end of a range.
struct Whole {};
struct Part {
  int64_t count;
};

/// Nearest bf16, ties to even, still as fp32; NaN becomes the quiet one that torch writes.
HWY_INLINE V round_bf16(V v) {
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto sum = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
  const auto kept = hn::And(sum, hn::Set(du, 0xffff0000U));
  return hn::IfThenElse(hn::IsNaN(v), hn::BitCast(D(), hn::Set(du, 0x7fc00000U)), hn::BitCast(D(), kept));
}

/// The bits of the nearest half in the low 16 of each lane, ties to even; beyond the largest infinity, subnormal halves
/// included; NaN becomes a quiet one.
HWY_INLINE hn::Vec<DU> bits_of_f16(V v) {
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffffU));
  const auto sign = hn::ShiftRight<16>(hn::Xor(bits, magnitude));
  // Rebiased by 112 in the exponent, then 13 bits rounded off: a carry goes on into the exponent, up to infinity.
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1));
  const auto normal = hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, odd), hn::Set(du, 0xfffU - (112U << 23))));
  // Below 2^-14: an addition of 0.5 leaves the 10 bits of a subnormal half at the end of the fp32, rounded by the sum.
  const auto half = hn::Set(du, 0x3f000000U);
  const auto small = hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(D(), magnitude), hn::BitCast(D(), half))), half);
  const auto is_small = hn::Lt(hn::BitCast(DI(), magnitude), hn::Set(DI(), 0x38800000));
  const auto is_beyond = hn::Gt(hn::BitCast(DI(), magnitude), hn::Set(DI(), 0x477fffff));
  auto kept = hn::IfThenElse(hn::RebindMask(du, is_small), small, normal);
  kept = hn::IfThenElse(hn::RebindMask(du, is_beyond), hn::Set(du, 0x7c00U), kept);
  kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), hn::Set(du, 0x7e00U), kept);
  return hn::Or(kept, sign);
}

/// The value of a half whose bits are the low 16 of each lane, exactly.
HWY_INLINE V value_of_f16(hn::Vec<DU> bits) {
  const DU du;
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffU));
  // As an fp32 with 112 too little in the exponent; the product puts that right, for subnormal halves too.
  const V value = hn::Mul(hn::BitCast(D(), hn::ShiftLeft<13>(magnitude)), hn::Set(D(), 0x1p112F));
  const auto endless = hn::Gt(hn::BitCast(DI(), magnitude), hn::Set(DI(), 0x7bff));
  const auto exponent = hn::IfThenElseZero(hn::RebindMask(du, endless), hn::Set(du, 0x7f800000U));
  const auto sign = hn::ShiftLeft<16>(hn::Xor(bits, magnitude));
  return hn::BitCast(D(), hn::Or(hn::Or(hn::BitCast(du, value), exponent), sign));
}

template <typename T>
HWY_INLINE V round_to(V v) {
  if constexpr (std::is_same_v<T, Bf16>) return round_bf16(v);
  if constexpr (std::is_same_v<T, F16>) return value_of_f16(bits_of_f16(v));
  return v;
}

HWY_INLINE V load(const float* from, Whole) {
  return hn::LoadU(D(), from);
}

HWY_INLINE V load(const Bf16* from, Whole) {
  const auto wide = hn::PromoteTo(DU(), hn::LoadU(D16(), from));
  return hn::BitCast(D(), hn::ShiftLeft<16>(wide));
}

HWY_INLINE V load(const F16* from, Whole) {
  return value_of_f16(hn::PromoteTo(DU(), hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(from))));
}

HWY_INLINE void store(V v, float* to, Whole) {
  hn::StoreU(v, D(), to);
}

HWY_INLINE void store(V v, Bf16* to, Whole) {
  // Below 2^16, so that the saturation of the narrowing never acts.
  const auto high = hn::BitCast(DI(), hn::ShiftRight<16>(hn::BitCast(DU(), round_bf16(v))));
  hn::StoreU(hn::DemoteTo(D16(), high), D16(), to);
}

HWY_INLINE void store(V v, F16* to, Whole) {
  const auto bits = hn::BitCast(DI(), bits_of_f16(v));
  hn::StoreU(hn::DemoteTo(D16(), bits), D16(), reinterpret_cast<uint16_t*>(to));
}

/// Lanes beyond the part hold fill.
template <typename T>
HWY_INLINE V load(const T* from, Part part, T fill = T{}) {
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  for (size_t i = 0; i < hn::Lanes(D()); ++i) lanes[i] = static_cast<int64_t>(i) < part.count ? from[i] : fill;
  return load(lanes, Whole());
}

template <typename T>
HWY_INLINE void store(V v, T* to, Part part) {
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  store(v, lanes, Whole());
  for (int64_t i = 0; i < part.count; ++i) to[i] = lanes[i];
}

/// body(first index, Whole or Part) over count elements.
template <typename Body>
HWY_INLINE void for_each_vector(int64_t count, Body body) {
  const auto step = static_cast<int64_t>(hn::Lanes(D()));
  int64_t i = 0;
  for (; i + step <= count; i += step) body(i, Whole());
  if (i < count) body(i, Part{count - i});
}

/// Sum of term(index, Whole or Part), which must be 0 in lanes beyond a part. Four sums at once: they hide the latency
/// of an addition and keep the rounding error low.
template <typename Term>
HWY_INLINE float sum_of(int64_t count, Term term) {
  const auto step = static_cast<int64_t>(hn::Lanes(D()));
  V a = hn::Zero(D()), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * step <= count; i += 4 * step) {
    a = hn::Add(a, term(i, Whole()));
    b = hn::Add(b, term(i + step, Whole()));
    c = hn::Add(c, term(i + 2 * step, Whole()));
    d = hn::Add(d, term(i + 3 * step, Whole()));
  }
  for (; i + step <= count; i += step) a = hn::Add(a, term(i, Whole()));
  if (i < count) b = hn::Add(b, term(i, Part{count - i}));
  return hn::GetLane(hn::SumOfLanes(D(), hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

/// e^x within 1 ulp or so of the true value, subnormal results and NaN included: x = n ln 2 + r, |r| <= ln 2 / 2, and
/// the Taylor series of e^r up to r^7, whose rest is below a tenth of an ulp.
HWY_INLINE V exp(V x) {
  const D d;
  // Beyond these e^x is 0 or infinity anyway, and n would leave the range of an exponent.
  const V clamped = hn::Min(hn::Max(x, hn::Set(d, -104.0F)), hn::Set(d, 89.0F));
  const V n = hn::Round(hn::Mul(clamped, hn::Set(d, 1.44269504088896341F)));
  // ln 2 in two pieces; the first has so few bits that its product with n is exact.
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693145751953125F), clamped);
  r = hn::NegMulAdd(n, hn::Set(d, 1.428606820309417e-6F), r);
  V p = hn::Set(d, 1.0F / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5F));
  p = hn::Add(hn::MulAdd(hn::Mul(p, r), r, r), hn::Set(d, 1.0F));
  // 2^n in two factors: one alone cannot be written for n = 128 or below -126.
  const auto whole = hn::ConvertTo(DI(), n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto bias = hn::Set(DI(), 127);
  const V first = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V second = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(whole, half), bias)));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Mul(hn::Mul(p, first), second));
}

}  // namespace lathe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
