#pragma once
// One element at a time, worked out in double and rounded where the fast kernels round.
#include <cmath>
#include <type_traits>

#include "base/dtype.h"
#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lathe::kernels::reference {

inline double wide(float value) {
  return static_cast<double>(value);
}
inline double wide(Bf16 bits) {
  return static_cast<double>(bf16_to_float(bits));
}

inline double wide(F16 half) {
  const int exponent = half.bits >> 10 & 31, fraction = half.bits & 1023;
  double magnitude = std::ldexp(exponent == 0 ? fraction : 1024 + fraction, exponent == 0 ? -24 : exponent - 25);
  if (exponent == 31) magnitude = fraction == 0 ? HUGE_VAL : std::nan("");
  return (half.bits & 0x8000) == 0 ? magnitude : -magnitude;
}

inline F16 to_f16(double value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const auto signed_bits = [sign](int bits) { return F16{static_cast<uint16_t>(sign | bits)}; };
  if (std::isnan(value)) return signed_bits(0x7e00);
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520) return signed_bits(0x7c00);
  const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
  const double units = std::nearbyint(std::ldexp(magnitude, 10 - exponent));  // ties to even
  return signed_bits(((exponent + 14) << 10) + static_cast<int>(units));
}

/// T is float, Bf16 or F16.
template <typename T>
T narrow(double value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return float_to_bf16(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, F16>) {
    return to_f16(static_cast<double>(static_cast<float>(value)));
  } else {
    return static_cast<T>(value);
  }
}

template <typename T>
double round_to(double value) {
  return wide(narrow<T>(value));
}

}  // namespace lathe::kernels::reference
