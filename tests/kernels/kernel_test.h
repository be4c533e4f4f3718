#pragma once
// What the tests of kernels share: every instruction set at hand, awkward sizes, values of all types, torch's results.
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "kernels/reference/scalar.h"

namespace lathe::kernels {

inline constexpr int64_t kSizes[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257};

/// Runs body once for every instruction set that this machine has; one that was not compiled falls back to the
/// plainest.
template <typename Body>
void for_each_target(Body body) {
  const int64_t all = hwy::SupportedTargets();
  for (int64_t rest = all; rest != 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

template <typename T>
std::vector<T> random_values(int64_t count, uint32_t seed, double scale = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) value = reference::narrow<T>(normal(generator));
  return values;
}

template <typename T>
std::vector<T> from_json(const Json& list) {
  std::vector<T> values;
  for (const Json& value : list) values.push_back(reference::narrow<T>(value.get<double>()));
  return values;
}

/// fp32: within so many roundings; bf16 and fp16: within one ulp, for a rounding may tip over.
template <typename T>
void expect_close(const std::vector<T>& actual, const std::vector<T>& expected, double roundings = 8) {
  ASSERT_EQ(actual.size(), expected.size());
  const double unit = std::is_same_v<T, Bf16> ? 2 * 0x1p-8 : std::is_same_v<T, F16> ? 2 * 0x1p-11 : roundings * 0x1p-24;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = reference::wide(actual[i]), e = reference::wide(expected[i]);
    if (std::isnan(e)) {
      EXPECT_TRUE(std::isnan(a)) << i << ": " << a;
    } else if (std::isinf(e)) {
      EXPECT_EQ(a, e) << i;
    } else {
      EXPECT_NEAR(a, e, unit * std::max(std::fabs(e), 0.125)) << i;
    }
  }
}

inline Json torch_values(const std::string& operation) {
  static const Json all = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/kernels.json");
  return all.at(operation);
}

template <typename T>
std::string suffix() {
  return std::is_same_v<T, Bf16> ? "_bf16" : std::is_same_v<T, F16> ? "_f16" : "_f32";
}

template <typename T>
T nan_of() {
  return reference::narrow<T>(std::numeric_limits<double>::quiet_NaN());
}

template <typename T>
T infinity_of() {
  return reference::narrow<T>(std::numeric_limits<double>::infinity());
}

using ElementTypes = ::testing::Types<float, Bf16, F16>;

}  // namespace lathe::kernels
