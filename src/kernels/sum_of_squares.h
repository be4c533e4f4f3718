#pragma once
// Sum of squares, each square and every sum in double: the gradient norm does not depend on how a range is split beyond
// double's rounding. NaN and infinity reach the result.
#include <cstdint>

#include "kernels/bf16.h"

namespace lathe::kernels {

[[nodiscard]] double sum_of_squares(const float* values, int64_t count);
[[nodiscard]] double sum_of_squares(const Bf16* values, int64_t count);

}  // namespace lathe::kernels
