#pragma once
#include <cmath>

#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::rms_norm.
template <typename T>
void rms_norm(const T* x, const T* weight, T* y, float* rstd, int64_t rows, int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += wide(x[i]) * wide(x[i]);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + static_cast<double>(epsilon));
    if (rstd != nullptr) rstd[row] = static_cast<float>(scale);
    for (int64_t i = 0; i < width; ++i) y[i] = narrow<T>(round_to<T>(wide(x[i]) * scale) * wide(weight[i]));
  }
}

/// As kernels::rms_norm_backward.
template <typename T>
void rms_norm_backward(const T* dy, const T* x, const T* weight, const float* rstd, T* dx, float* dweight, int64_t rows,
                       int64_t width) {
  for (int64_t row = 0; row < rows; ++row, x += width, dy += width) {
    const auto scale = static_cast<double>(rstd[row]);
    double along = 0;
    for (int64_t i = 0; i < width; ++i) {
      along += round_to<T>(wide(dy[i]) * wide(weight[i])) * wide(x[i]) * scale;
      if (dweight != nullptr) dweight[i] += static_cast<float>(wide(dy[i]) * round_to<T>(wide(x[i]) * scale));
    }
    if (dx == nullptr) continue;
    const double mean = along / static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) {
      const double dscaled = round_to<T>(wide(dy[i]) * wide(weight[i]));
      dx[row * width + i] = narrow<T>((dscaled - wide(x[i]) * scale * mean) * scale);
    }
  }
}

}  // namespace lathe::kernels::reference
