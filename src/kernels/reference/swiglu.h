#pragma once
#include <cmath>

#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::swiglu.
template <typename T>
void swiglu(const T* gate, const T* up, T* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const double g = wide(gate[i]);
    y[i] = narrow<T>(round_to<T>(g / (1 + std::exp(-g))) * wide(up[i]));
  }
}

/// As kernels::swiglu_backward.
template <typename T>
void swiglu_backward(T* dy, T* gate, T* up, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const double d = wide(dy[i]), g = wide(gate[i]), u = wide(up[i]), sigmoid = 1 / (1 + std::exp(-g));
    const double silu = round_to<T>(g / (1 + std::exp(-g)));
    gate[i] = narrow<T>(round_to<T>(d * u) * sigmoid * (1 + g * (1 - sigmoid)));
    up[i] = narrow<T>(d * silu);
    dy[i] = narrow<T>(silu * u);
  }
}

}  // namespace lathe::kernels::reference
