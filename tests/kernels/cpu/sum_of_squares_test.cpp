#include "kernels/sum_of_squares.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/sum_of_squares.h"

namespace lathe::kernels {
namespace {

template <typename T>
class SumOfSquares : public ::testing::Test {};
using GradientTypes = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(SumOfSquares, GradientTypes);

TYPED_TEST(SumOfSquares, AgreesWithTheReference) {
  using T = TypeParam;
  for_each_target([] {
    EXPECT_EQ(sum_of_squares(static_cast<const T*>(nullptr), 0), 0);
    for (const int64_t count : kSizes) {
      auto values = random_values<T>(count, 1, 1e15);
      const double expected = reference::sum_of_squares(values.data(), count);
      EXPECT_NEAR(sum_of_squares(values.data(), count), expected, 1e-13 * expected);
      values.back() = nan_of<T>();
      EXPECT_TRUE(std::isnan(sum_of_squares(values.data(), count)));
      values.back() = infinity_of<T>();
      EXPECT_EQ(sum_of_squares(values.data(), count), std::numeric_limits<double>::infinity());
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
