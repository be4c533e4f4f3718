#pragma once
// One element at a time, worked out in double and rounded where the fast kernels round.
#include <type_traits>

#include "base/dtype.h"
#include "kernels/bf16.h"

namespace lathe::kernels::reference {

inline double wide(float value) {
  return static_cast<double>(value);
}
inline double wide(Bf16 bits) {
  return static_cast<double>(bf16_to_float(bits));
}

/// T is float or Bf16.
template <typename T>
T narrow(double value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return float_to_bf16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <typename T>
double round_to(double value) {
  return wide(narrow<T>(value));
}

}  // namespace lathe::kernels::reference
