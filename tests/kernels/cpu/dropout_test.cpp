#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/dropout.h"

namespace lathe::kernels {
namespace {

template <typename T>
class Dropout : public ::testing::Test {};
TYPED_TEST_SUITE(Dropout, ElementTypes);

TYPED_TEST(Dropout, IsTheReferenceOnEveryTarget) {
  using T = TypeParam;
  const DropoutDraw draw{.key = {7, 0xffffffff}, .rest = {3 << 8 | 5 << 16, 11, 2}, .threshold = 6554, .scale = 1.25F};
  for_each_target([&] {
    for (const int64_t first : {int64_t{0}, kDropoutBlock, kDropoutBlock << 31}) {
      for (const int64_t count : kSizes) {
        auto x = random_values<T>(count, 1);
        if (count == 100) x[50] = nan_of<T>(), x[51] = infinity_of<T>();
        std::vector<T> y(x.size()), expected(x.size());
        dropout(x.data(), y.data(), first, count, draw);
        reference::dropout(x.data(), expected.data(), first, count, draw);
        expect_close(y, expected, 0);
      }
    }
  });
}

TEST(DropoutExtremes, KeepsAllOrNearlyNone) {
  for_each_target([] {
    const std::vector<float> x(1000, 1);
    std::vector<float> y(x.size());
    dropout(x.data(), y.data(), 0, 1000, {.threshold = 0});
    EXPECT_EQ(y, x);
    dropout(x.data(), y.data(), 0, 1000, {.threshold = 65536});
    EXPECT_EQ(y, std::vector<float>(x.size(), 0));
  });
}

}  // namespace
}  // namespace lathe::kernels
