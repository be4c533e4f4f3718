#pragma once
#include <algorithm>
#include <bit>
#include <cmath>

#include "base/dtype.h"
#include "kernels/split_master.h"

namespace lathe::kernels::reference {

inline float join_master(Bf16 rounded, int16_t rest) {
  return std::bit_cast<float>((static_cast<uint32_t>(rounded) << 16) +
                              static_cast<uint32_t>(static_cast<int32_t>(rest)));
}

inline void split_master(float value, Bf16& rounded, int16_t& rest) {
  rounded = float_to_bf16(value);
  const uint32_t whole = std::bit_cast<uint32_t>(value) - (static_cast<uint32_t>(rounded) << 16);
  rest = std::isnan(value) ? int16_t{0} : static_cast<int16_t>(std::min(static_cast<int32_t>(whole), 0x7fff));
}

/// As kernels::split_master.
inline void split_master(const float* values, SplitMaster into, int64_t count) {
  for (int64_t i = 0; i < count; ++i) split_master(values[i], into.rounded[i], into.rest[i]);
}

/// As kernels::join_master.
inline void join_master(const Bf16* rounded, const int16_t* rest, float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = join_master(rounded[i], rest[i]);
}

}  // namespace lathe::kernels::reference
