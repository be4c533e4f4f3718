#pragma once
#include <bit>
#include <cmath>

#include "kernels/reference/dropout.h"
#include "kernels/stochastic_rounding.h"

namespace lathe::kernels::reference {

/// As kernels::round_stochastically, of one value.
inline Bf16 round_stochastically(float value, uint32_t drawn) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (!std::isfinite(value)) return float_to_bf16(value);
  const bool away = drawn >= 0x10000U - (bits & 0xffffU);
  return static_cast<Bf16>((bits >> 16) + (away ? 1U : 0U));
}

/// As kernels::round_stochastically.
inline void round_stochastically(const float* values, Bf16* rounded, int64_t first, int64_t count,
                                 const RoundingDraw& draw) {
  for (int64_t i = 0; i < count; ++i) {
    rounded[i] = round_stochastically(values[i], drawn(first + i, draw.key, draw.rest));
  }
}

}  // namespace lathe::kernels::reference
