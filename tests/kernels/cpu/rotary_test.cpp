#include "kernels/rotary.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/rotary.h"

namespace lathe::kernels {
namespace {

template <typename T>
class Rotary : public ::testing::Test {};
TYPED_TEST_SUITE(Rotary, ElementTypes);

TYPED_TEST(Rotary, AgreesWithTheReference) {
  using T = TypeParam;
  for_each_target([] {
    for (const int64_t half : kSizes) {
      const auto cos = random_values<float>(3 * half, 1), sin = random_values<float>(3 * half, 2);
      for (const bool inverse : {false, true}) {
        auto x = random_values<T>(3 * 2 * 2 * half, 3);
        x[0] = nan_of<T>();
        auto expected = x;
        rotary(x.data(), cos.data(), sin.data(), 3, 2, 2 * half, inverse);
        reference::rotary(expected.data(), cos.data(), sin.data(), 3, 2, 2 * half, inverse);
        expect_close(x, expected, 16);
      }
    }
  });
}

TYPED_TEST(Rotary, IsTorchBitForBit) {
  using T = TypeParam;
  const Json oracle = torch_values("rotary" + suffix<T>());
  const auto cos = from_json<float>(oracle["cos"]), sin = from_json<float>(oracle["sin"]);
  const auto x = from_json<T>(oracle["x"]), dy = from_json<T>(oracle["dy"]);
  for_each_target([&] {
    auto y = x, dx = dy;
    rotary(y.data(), cos.data(), sin.data(), 3, 2, 22, false);
    rotary(dx.data(), cos.data(), sin.data(), 3, 2, 22, true);
    EXPECT_EQ(y, from_json<T>(oracle["y"]));
    EXPECT_EQ(dx, from_json<T>(oracle["dx"]));
  });
}

}  // namespace
}  // namespace lathe::kernels
