#include "ops/dtype.h"

#include <c10/core/ScalarType.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

namespace lathe::ops {
namespace {

TEST(DTypeTest, TypesOnDiskAndInTensorsAreOfOneSize) {
  for (const DType type : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kI16,
                           DType::kI8, DType::kU8, DType::kBool}) {
    EXPECT_EQ(to_dtype(to_scalar_type(type)), type);
    EXPECT_EQ(static_cast<int64_t>(c10::elementSize(to_scalar_type(type))), size_bytes(type));
  }
  EXPECT_EQ(to_scalar_type(DType::kBF16), c10::kBFloat16);
  EXPECT_EQ(to_scalar_type(DType::kF16), c10::kHalf);
  EXPECT_THROW((void)to_dtype(c10::kComplexFloat), Error);
}

}  // namespace
}  // namespace lathe::ops
