// Halves in and out of the kernels' vectors, by a kernel that only multiplies: dropout of nothing.
#include "kernels/f16.h"

#include <gtest/gtest.h>

#include "kernels/dropout.h"
#include "kernels/kernel_test.h"

namespace lathe::kernels {
namespace {

std::vector<F16> all_halves() {
  std::vector<F16> halves;
  for (int bits = 0; bits < 65536; ++bits) halves.push_back({static_cast<uint16_t>(bits)});
  return halves;
}

std::vector<F16> scaled(const std::vector<F16>& halves, float scale) {
  std::vector<F16> products(halves.size());
  dropout(halves.data(), products.data(), 0, static_cast<int64_t>(halves.size()), {.threshold = 0, .scale = scale});
  return products;
}

bool is_nan(F16 half) {
  return (half.bits & 0x7fff) > 0x7c00;
}

TEST(F16, EveryHalfIsReadAndWrittenExactly) {
  const std::vector<F16> halves = all_halves();
  for_each_target([&] {
    const std::vector<F16> again = scaled(halves, 1);
    for (size_t i = 0; i < halves.size(); ++i) {
      ASSERT_TRUE(again[i] == halves[i] || (is_nan(again[i]) && is_nan(halves[i]))) << i << ": " << again[i].bits;
    }
  });
}

/// Ties, subnormals, what becomes zero and what becomes infinite.
TEST(F16, RoundsToTheNearest) {
  const std::vector<F16> halves = all_halves();
  for_each_target([&] {
    for (const float scale : {0.5F, 0.37F, 1.0009765625F, 0x1p-12F, 3e-6F, 1.7F, 1e4F}) {
      const std::vector<F16> products = scaled(halves, scale);
      for (size_t i = 0; i < halves.size(); ++i) {
        const auto exact = static_cast<float>(reference::wide(halves[i])) * scale;
        const F16 expected = reference::to_f16(exact);
        ASSERT_TRUE(products[i] == expected || (is_nan(products[i]) && std::isnan(exact)))
            << halves[i].bits << " times " << scale << ": " << products[i].bits << ", not " << expected.bits;
      }
    }
  });
}

TEST(F16, TheReferenceIsIeee754s) {
  const std::pair<double, int> pairs[] = {
      {1, 0x3c00},       {-2, 0xc000},      {65504, 0x7bff},       {65519.9, 0x7bff},        {65520, 0x7c00},
      {0x1p-14, 0x0400}, {0x1p-24, 0x0001}, {0x1p-25, 0x0000},     {0x1.8p-24, 0x0002},      {0x1.ff8p-15, 0x03ff},
      {-0.0, 0x8000},    {1.0 / 3, 0x3555}, {1 + 0x1p-11, 0x3c00}, {1 + 3 * 0x1p-11, 0x3c02}};
  for (const auto& [value, bits] : pairs) EXPECT_EQ(reference::to_f16(value).bits, bits) << value;
  for (const F16 half : all_halves()) {
    if (is_nan(half)) continue;
    ASSERT_EQ(reference::to_f16(reference::wide(half)), half) << half.bits;
  }
}

}  // namespace
}  // namespace lathe::kernels
