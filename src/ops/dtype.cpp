#include "ops/dtype.h"

#include <lathe/error.h>

#include <array>
#include <utility>

namespace lathe::ops {
namespace {

constexpr std::array<std::pair<DType, c10::ScalarType>, 10> kTypes = {{
    {DType::kF64, c10::kDouble},
    {DType::kF32, c10::kFloat},
    {DType::kF16, c10::kHalf},
    {DType::kBF16, c10::kBFloat16},
    {DType::kI64, c10::kLong},
    {DType::kI32, c10::kInt},
    {DType::kI16, c10::kShort},
    {DType::kI8, c10::kChar},
    {DType::kU8, c10::kByte},
    {DType::kBool, c10::kBool},
}};

}  // namespace

c10::ScalarType to_scalar_type(DType dtype) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == dtype) return theirs;
  }
  LATHE_ASSERT(false);
  return c10::kFloat;
}

DType to_dtype(c10::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  LATHE_ASSERT(false);
  return DType::kF32;
}

}  // namespace lathe::ops
