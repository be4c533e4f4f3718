#pragma once
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::rotary.
template <typename T>
void rotary(T* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t head_dim, bool inverse) {
  const int64_t half = head_dim / 2;
  for (int64_t row = 0; row < tokens * heads; ++row, x += head_dim) {
    for (int64_t i = 0; i < half; ++i) {
      const double c = wide(cos[row / heads * half + i]), s = wide(sin[row / heads * half + i]) * (inverse ? -1 : 1);
      const double low = wide(x[i]), high = wide(x[half + i]);
      x[i] = narrow<T>(round_to<T>(low * c) - round_to<T>(high * s));
      x[half + i] = narrow<T>(round_to<T>(high * c) + round_to<T>(low * s));
    }
  }
}

}  // namespace lathe::kernels::reference
