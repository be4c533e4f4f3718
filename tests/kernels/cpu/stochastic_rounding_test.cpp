#include "kernels/stochastic_rounding.h"

#include <gtest/gtest.h>

#include <bit>

#include "kernels/adamw.h"
#include "kernels/kernel_test.h"
#include "kernels/reference/stochastic_rounding.h"

namespace lathe::kernels {
namespace {

const RoundingDraw kDraw{.key = {7, 0xffffffff}, .rest = {3 << 8, 11, 0xffffffff}};

std::vector<Bf16> rounded(const std::vector<float>& values, const RoundingDraw& draw = kDraw, int64_t first = 0) {
  std::vector<Bf16> bits(values.size());
  round_stochastically(values.data(), bits.data(), first, static_cast<int64_t>(values.size()), draw);
  return bits;
}

TEST(StochasticRounding, IsTheReferenceOnEveryTarget) {
  for_each_target([] {
    for (const int64_t first : {int64_t{0}, kDropoutBlock, kDropoutBlock << 31}) {
      for (const int64_t count : kSizes) {
        auto values = random_values<float>(count, 1);
        if (count == 100) values[50] = nan_of<float>(), values[51] = infinity_of<float>(), values[52] = -1e-41F;
        std::vector<Bf16> expected(values.size());
        reference::round_stochastically(values.data(), expected.data(), first, count, kDraw);
        EXPECT_EQ(rounded(values, kDraw, first), expected);
      }
    }
  });
}

TEST(StochasticRounding, APieceIsRoundedAsInTheWhole) {
  const auto values = random_values<float>(1000, 2);
  const std::vector<Bf16> whole = rounded(values);
  const std::vector<float> tail(values.begin() + 384, values.end());
  EXPECT_EQ(rounded(tail, kDraw, 384), std::vector<Bf16>(whole.begin() + 384, whole.end()));
  EXPECT_NE(rounded(tail), std::vector<Bf16>(whole.begin() + 384, whole.end()));
}

TEST(StochasticRounding, WhatIsABf16Stays) {
  for_each_target([] {
    std::vector<float> values;
    std::vector<Bf16> bits;
    for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
      const float value = bf16_to_float(static_cast<Bf16>(pattern));
      if (std::isnan(value)) continue;
      values.push_back(value);
      bits.push_back(static_cast<Bf16>(pattern));
    }
    EXPECT_EQ(rounded(values), bits);
    EXPECT_EQ(rounded({nan_of<float>()}), (std::vector<Bf16>{0x7fc0}));
  });
}

/// The mean of many draws of one value lies within five of its standard deviations of the value; rounding to nearest,
/// or draws that are not uniform, would be hundreds away.
TEST(StochasticRounding, IsRightInTheMean) {
  constexpr int64_t kCount = 1 << 20;
  for (const float share : {0.01F, 0.25F, 0.5F, 0.93F}) {
    for (const float below : {1.0F, -1.5F, 0x1p-120F}) {
      const double step = std::ldexp(1.0, std::ilogb(below) - 7);
      const auto value = static_cast<float>(std::fabs(below) + share * step) * std::copysign(1.0F, below);
      double sum = 0;
      for (const Bf16 bits : rounded(std::vector<float>(kCount, value))) {
        const double one = static_cast<double>(bf16_to_float(bits));
        ASSERT_LE(std::fabs(one - static_cast<double>(value)), step);
        sum += one;
      }
      const double deviation = step * std::sqrt(static_cast<double>(share * (1 - share)) / kCount);
      EXPECT_NEAR(sum / kCount, static_cast<double>(value), 5 * deviation) << share << " above " << below;
    }
  }
}

/// Neighbours, steps and parameters draw apart: of two of them that go up half the time each, both do a quarter.
TEST(StochasticRounding, DrawsAreIndependent) {
  constexpr int64_t kCount = 1 << 18;
  const float halfway = 1.0F + 0x1p-8F;
  const auto ups = [&](const RoundingDraw& draw) {
    std::vector<bool> up;
    for (const Bf16 bits : rounded(std::vector<float>(kCount, halfway), draw)) up.push_back(bits == 0x3f81);
    return up;
  };
  RoundingDraw later = kDraw, other = kDraw, seeded = kDraw;
  ++later.rest[1], other.rest[0] += 1 << 8, ++seeded.key[0];
  const std::vector<bool> base = ups(kDraw);
  std::vector<bool> neighbour(base.begin() + 1, base.end());
  neighbour.push_back(base[0]);
  for (const std::vector<bool>& one : {neighbour, ups(later), ups(other), ups(seeded)}) {
    int64_t both = 0;
    for (size_t i = 0; i < base.size(); ++i) both += base[i] && one[i] ? 1 : 0;
    EXPECT_NEAR(static_cast<double>(both) / kCount, 0.25, 5 * std::sqrt(0.1875 / kCount));
  }
}

/// What fp32 weights would be after the same update, rounded by the same draws; moments to the bit.
template <typename Gradient>
void compare_update() {
  for (const int64_t count : kSizes) {
    auto weight = random_values<Bf16>(count, 1), expected = weight;
    const auto gradient = random_values<Gradient>(count, 2);
    std::vector<float> m(weight.size()), v = m, m2 = m, v2 = m, wide(weight.size()), wide_gradient = wide;
    for (int64_t t = 1; t <= 3; ++t) {
      const AdamWStep step = adamw_step(1e-2, 0.9, 0.999, 1e-8, 0.1, t, 0.3);
      adamw(weight.data(), gradient.data(), m.data(), v.data(), kDropoutBlock, count, step, kDraw);
      for (size_t i = 0; i < wide.size(); ++i) {
        wide[i] = bf16_to_float(expected[i]);
        wide_gradient[i] = static_cast<float>(reference::wide(gradient[i]));
      }
      adamw(wide.data(), wide_gradient.data(), m2.data(), v2.data(), count, step);
      round_stochastically(wide.data(), expected.data(), kDropoutBlock, count, kDraw);
      ASSERT_EQ(weight, expected);
      ASSERT_EQ(m, m2);
      ASSERT_EQ(v, v2);
    }
  }
}

TEST(StochasticRounding, AnUpdateIsTheExactOneRounded) {
  for_each_target([] {
    compare_update<float>();
    compare_update<Bf16>();
  });
}

}  // namespace
}  // namespace lathe::kernels
