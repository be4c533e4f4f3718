#pragma once
#include "kernels/reference/scalar.h"

namespace lathe::kernels::reference {

/// As kernels::sum_of_squares.
template <typename T>
double sum_of_squares(const T* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += wide(values[i]) * wide(values[i]);
  return sum;
}

}  // namespace lathe::kernels::reference
