#include "kernels/swiglu.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/swiglu.h"

namespace lathe::kernels {
namespace {

template <typename T>
class Swiglu : public ::testing::Test {};
TYPED_TEST_SUITE(Swiglu, ElementTypes);

TYPED_TEST(Swiglu, AgreesWithTheReference) {
  using T = TypeParam;
  for_each_target([] {
    for (const int64_t count : kSizes) {
      auto gate = random_values<T>(count, 1, 20);
      const auto up = random_values<T>(count, 2), dy = random_values<T>(count, 3);
      if (count == 100) {
        const double limits[] = {0, -0.0, 88, -88, 104, -104, 1e30, -1e30};
        for (size_t i = 0; i < std::size(limits); ++i) gate[i] = reference::narrow<T>(limits[i]);
        gate[90] = infinity_of<T>();
        gate[99] = nan_of<T>();
      }
      std::vector<T> y(gate.size()), expected_y(y);
      swiglu(gate.data(), up.data(), y.data(), count);
      reference::swiglu(gate.data(), up.data(), expected_y.data(), count);
      expect_close(y, expected_y);
      auto dgate = gate, dup = up, again = dy, expected_dgate = gate, expected_dup = up, expected_again = dy;
      swiglu_backward(again.data(), dgate.data(), dup.data(), count);
      reference::swiglu_backward(expected_again.data(), expected_dgate.data(), expected_dup.data(), count);
      expect_close(dgate, expected_dgate, 64);
      expect_close(dup, expected_dup);
      expect_close(again, y, 0);  // the very values that forward gave
    }
  });
}

TYPED_TEST(Swiglu, AgreesWithTorch) {
  using T = TypeParam;
  const Json oracle = torch_values("swiglu" + suffix<T>());
  const auto gate = from_json<T>(oracle["gate"]), up = from_json<T>(oracle["up"]), dy = from_json<T>(oracle["dy"]);
  const auto count = static_cast<int64_t>(gate.size());
  for_each_target([&] {
    std::vector<T> y(gate.size());
    auto dgate = gate, dup = up, again = dy;
    swiglu(gate.data(), up.data(), y.data(), count);
    swiglu_backward(again.data(), dgate.data(), dup.data(), count);
    expect_close(y, from_json<T>(oracle["y"]), 4);
    expect_close(dgate, from_json<T>(oracle["dgate"]), 8);
    expect_close(dup, from_json<T>(oracle["dup"]), 4);
  });
}

TEST(SwigluRange, KeepsEveryExponentAccurate) {
  for_each_target([] {
    std::vector<float> gate;
    for (float x = -80; x < 80; x += 0.0137F) gate.push_back(x);
    const std::vector<float> up(gate.size(), 1);
    std::vector<float> y(gate.size()), expected(gate.size());
    swiglu(gate.data(), up.data(), y.data(), static_cast<int64_t>(gate.size()));
    reference::swiglu(gate.data(), up.data(), expected.data(), static_cast<int64_t>(gate.size()));
    for (size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i], std::fabs(expected[i]) * 3 * 0x1p-23F) << gate[i];
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
