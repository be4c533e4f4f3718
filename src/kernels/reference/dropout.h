#pragma once
#include <array>
#include <cstdint>

#include "base/philox.h"
#include "kernels/dropout.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// The 16 bits that an element draws.
inline uint32_t drawn(int64_t element, const std::array<uint32_t, 2>& key, const std::array<uint32_t, 3>& rest) {
  const int64_t block = element / kDropoutBlock, inside = element % kDropoutBlock;
  const auto number = static_cast<uint64_t>(block * 16 + inside % 16);
  const PhiloxCounter words =
      philox4x32({static_cast<uint32_t>(number), rest[0] + static_cast<uint32_t>(number >> 32), rest[1], rest[2]}, key);
  const auto which = static_cast<size_t>(inside / 16);
  return which % 2 == 0 ? words[which / 2] & 0xffff : words[which / 2] >> 16;
}

/// As kernels::dropout.
template <typename T>
void dropout(const T* x, T* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  for (int64_t i = 0; i < count; ++i) {
    const bool dropped = drawn(first + i, draw.key, draw.rest) < draw.threshold;
    y[i] = narrow<T>(dropped ? 0.0 : wide(x[i]) * static_cast<double>(draw.scale));
  }
}

}  // namespace lathe::kernels::reference
