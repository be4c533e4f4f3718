#include "base/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace lathe {
namespace {

TEST(DType, NamesReadBack) {
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kI16,
                            DType::kI8, DType::kU8, DType::kBool}) {
    EXPECT_EQ(parse_dtype(name(dtype)), dtype);
    EXPECT_EQ(parse_torch_dtype(torch_name(dtype)), dtype);
  }
  EXPECT_EQ(parse_torch_dtype("bf16"), DType::kBF16);
  EXPECT_EQ(parse_torch_dtype("torch.float16"), DType::kF16);
  EXPECT_EQ(parse_torch_dtype(""), std::nullopt);
  EXPECT_EQ(parse_dtype("F8_E4M3"), std::nullopt);
  EXPECT_EQ(size_bytes(DType::kBF16), 2);
  EXPECT_EQ(size_bytes(DType::kBool), 1);
}

TEST(DType, RoundsToBf16TiesToEven) {
  EXPECT_EQ(float_to_bf16(1.0F), 0x3f80);
  EXPECT_EQ(float_to_bf16(1.00390625F), 0x3f80);  // halfway between 0x3f80 and 0x3f81: to the even one
  EXPECT_EQ(float_to_bf16(1.01171875F), 0x3f82);  // halfway between 0x3f81 and 0x3f82
  EXPECT_EQ(float_to_bf16(std::nextafter(1.00390625F, 2.0F)), 0x3f81);
  EXPECT_EQ(float_to_bf16(-std::numeric_limits<float>::infinity()), 0xff80);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001U)))));
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = bf16_to_float(static_cast<uint16_t>(bits));
    if (!std::isnan(value)) {
      EXPECT_EQ(float_to_bf16(value), bits);
    }
  }
}

}  // namespace
}  // namespace lathe
