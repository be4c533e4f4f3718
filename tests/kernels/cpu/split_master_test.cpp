#include "kernels/split_master.h"

#include <gtest/gtest.h>

#include <bit>

#include "kernels/adamw.h"
#include "kernels/kernel_test.h"
#include "kernels/reference/split_master.h"

namespace lathe::kernels {
namespace {

/// Lies halfway between an even bf16 and the next one away from zero: the only kind that two halves cannot hold.
bool too_much(float value) {
  return (std::bit_cast<uint32_t>(value) & 0x1ffffU) == 0x8000U && std::isfinite(value);
}

float one_nearer_to_zero(float value) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) - 1);
}

std::vector<float> awkward_values(int64_t count) {
  const float special[] = {0.0F,
                           -0.0F,
                           infinity_of<float>(),
                           -infinity_of<float>(),
                           std::numeric_limits<float>::max(),
                           std::numeric_limits<float>::denorm_min(),
                           -std::numeric_limits<float>::min(),
                           std::bit_cast<float>(0x3f808000U),  // a tie, even below
                           std::bit_cast<float>(0x3f818000U),  // a tie, odd below
                           std::bit_cast<float>(0xbf808000U),
                           std::bit_cast<float>(0xbf818000U),
                           std::bit_cast<float>(0x7f7f8000U)};  // a tie between the largest bf16 and infinity
  auto values = random_values<float>(count, 3);
  for (size_t i = 0; i < values.size() && i < std::size(special); ++i) values[i] = special[i];
  return values;
}

TEST(SplitMasterRange, HoldsEveryValueAndRoundsToNearestEven) {
  for_each_target([] {
    for (const int64_t count : {int64_t{1}, int64_t{7}, int64_t{17}, int64_t{100'003}}) {
      const auto values = awkward_values(count);
      std::vector<Bf16> rounded(values.size());
      std::vector<int16_t> rest(values.size());
      std::vector<float> joined(values.size());
      split_master(values.data(), {rounded.data(), rest.data()}, count);
      join_master(rounded.data(), rest.data(), joined.data(), count);
      for (size_t i = 0; i < values.size(); ++i) {
        Bf16 expected_rounded = 0;
        int16_t expected_rest = 0;
        reference::split_master(values[i], expected_rounded, expected_rest);
        ASSERT_EQ(rounded[i], float_to_bf16(values[i])) << i;
        ASSERT_EQ(rounded[i], expected_rounded) << i;
        ASSERT_EQ(rest[i], expected_rest) << i;
        const float kept = too_much(values[i]) ? one_nearer_to_zero(values[i]) : values[i];
        ASSERT_EQ(std::bit_cast<uint32_t>(joined[i]), std::bit_cast<uint32_t>(kept)) << i;
        ASSERT_EQ(std::bit_cast<uint32_t>(reference::join_master(rounded[i], rest[i])), std::bit_cast<uint32_t>(kept));
      }
    }
  });
}

TEST(SplitMasterRange, NaNStaysOne) {
  for_each_target([] {
    const float value = std::bit_cast<float>(0xffc12345U);
    Bf16 rounded = 0;
    int16_t rest = 1;
    split_master(&value, {&rounded, &rest}, 1);
    EXPECT_EQ(rest, 0);
    EXPECT_TRUE(std::isnan(reference::join_master(rounded, rest)));
  });
}

/// Plain fp32 weights beside split ones for many updates: the same weights, moments and bf16 to the bit.
template <typename Gradient>
void compare_updates() {
  constexpr int64_t kCount = 4099;
  auto plain = random_values<float>(kCount, 1, 0.02), m = std::vector<float>(kCount), v = m;
  auto split_m = m, split_v = v, joined = plain;
  std::vector<Bf16> rounded(kCount);
  std::vector<int16_t> rest(kCount);
  for (float& value : plain) value = bf16_to_float(float_to_bf16(value));  // as from a bf16 file
  split_master(plain.data(), {rounded.data(), rest.data()}, kCount);
  ASSERT_EQ(rest, std::vector<int16_t>(kCount));
  int64_t nudged = 0;
  for (int64_t t = 1; t <= 200; ++t) {
    const auto gradient = random_values<Gradient>(kCount, static_cast<uint32_t>(100 + t));
    std::vector<float> wide(kCount);
    for (size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<float>(reference::wide(gradient[i]));
    const AdamWStep step = adamw_step(1e-4, 0.9, 0.999, 1e-8, 0.1, t, 0.7);
    adamw(plain.data(), wide.data(), m.data(), v.data(), kCount, step);
    adamw(SplitMaster{rounded.data(), rest.data()}, gradient.data(), split_m.data(), split_v.data(), kCount, step);
    for (float& value : plain) {
      if (!too_much(value)) continue;
      value = one_nearer_to_zero(value);
      ++nudged;
    }
    join_master(rounded.data(), rest.data(), joined.data(), kCount);
    ASSERT_EQ(joined, plain) << "update " << t;
    for (size_t i = 0; i < plain.size(); ++i) ASSERT_EQ(rounded[i], float_to_bf16(plain[i])) << i;
  }
  EXPECT_EQ(split_m, m);
  EXPECT_EQ(split_v, v);
  // One in 131,072 of 819,800 values; none at all would mean that the rule was not met.
  EXPECT_GE(nudged, 1);
  EXPECT_LE(nudged, 30);
}

TEST(SplitMasterRange, AdamWGivesTheBitsOfPlainMasters) {
  for_each_target([] {
    compare_updates<float>();
    compare_updates<Bf16>();
  });
}

}  // namespace
}  // namespace lathe::kernels
