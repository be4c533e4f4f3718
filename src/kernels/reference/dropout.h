#pragma once
#include <cmath>

#include "base/philox.h"
#include "kernels/dropout.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::dropout.
template <typename T>
void dropout(const T* x, T* y, int64_t first, int64_t count, const DropoutDraw& draw) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t element = first + i, block = element / kDropoutBlock, inside = element % kDropoutBlock;
    const auto number = static_cast<uint64_t>(block * 16 + inside % 16);
    const PhiloxCounter words = philox4x32({static_cast<uint32_t>(number),
                                            draw.rest[0] + static_cast<uint32_t>(number >> 32), draw.rest[1],
                                            draw.rest[2]},
                                           draw.key);
    const auto which = static_cast<size_t>(inside / 16);
    const uint32_t drawn = which % 2 == 0 ? words[which / 2] & 0xffff : words[which / 2] >> 16;
    y[i] = narrow<T>(drawn < draw.threshold ? 0.0 : wide(x[i]) * static_cast<double>(draw.scale));
  }
}

}  // namespace lathe::kernels::reference
