#pragma once
// Stored values that are compared bit for bit: bytes in hexadecimal.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "base/json.h"

namespace lathe::kernels {

template <typename T>
std::vector<T> from_hex(const Json& text) {
  const auto digits = text.get<std::string>();
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

/// Bit for bit, but that one NaN is as good as another.
template <typename T>
void expect_same(const std::vector<T>& actual, const std::vector<T>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if constexpr (std::is_same_v<T, float>) {
      if (std::isnan(actual[i]) && std::isnan(expected[i])) continue;
    }
    EXPECT_EQ(std::memcmp(&actual[i], &expected[i], sizeof(T)), 0)
        << "at " << i << ": " << +actual[i] << " where " << +expected[i] << " is right";
  }
}

}  // namespace lathe::kernels
