#include "kernels/cross_entropy.h"

#include <gtest/gtest.h>

#include "kernels/kernel_test.h"
#include "kernels/reference/cross_entropy.h"

namespace lathe::kernels {
namespace {

template <typename T>
class CrossEntropyRows : public ::testing::Test {};
TYPED_TEST_SUITE(CrossEntropyRows, ElementTypes);

template <typename T>
void compare_with_reference(int64_t vocabulary, double smoothing, double scale_of_logits) {
  const auto logits = random_values<T>(3 * vocabulary, 1, scale_of_logits);
  const std::vector<int64_t> targets{vocabulary - 1, -100, 0};
  for (const bool gradient : {false, true}) {
    const CrossEntropy options{.label_smoothing = smoothing, .gradient = gradient, .gradient_scale = 3};
    auto actual = logits, expected = logits;
    std::vector<float> loss(3, -1), expected_loss(3);
    cross_entropy(actual.data(), targets.data(), loss.data(), 3, vocabulary, options);
    reference::cross_entropy(expected.data(), targets.data(), expected_loss.data(), 3, vocabulary, options);
    expect_close(loss, expected_loss,
                 16);  // of a target far above the rest: log of a sum that is 1 but for its rounding
    // fp32 rounds x - max, and e^x carries that error |x - max| times over: up to 40 here.
    expect_close(actual, expected, 64);
  }
}

TYPED_TEST(CrossEntropyRows, AgreesWithTheReference) {
  for_each_target([] {
    for (const int64_t vocabulary : kSizes) {
      for (const double smoothing : {0.0, 0.1}) compare_with_reference<TypeParam>(vocabulary, smoothing, 4);
    }
    compare_with_reference<TypeParam>(20011, 0.1, 4);
    compare_with_reference<TypeParam>(100, 0, 1000);
  });
}

TYPED_TEST(CrossEntropyRows, AgreesWithTorch) {
  using T = TypeParam;
  for (const char* smoothing : {"_0.0", "_0.1"}) {
    const Json oracle = torch_values("cross_entropy" + suffix<T>() + smoothing);
    const auto targets = oracle["target"].get<std::vector<int64_t>>();
    for_each_target([&] {
      auto logits = from_json<T>(oracle["logits"]);
      const auto rows = static_cast<int64_t>(targets.size()), vocabulary = static_cast<int64_t>(logits.size()) / rows;
      std::vector<float> loss(targets.size());
      cross_entropy(logits.data(), targets.data(), loss.data(), rows, vocabulary,
                    {.label_smoothing = oracle["smoothing"], .gradient = true, .gradient_scale = oracle["scale"]});
      expect_close(loss, from_json<float>(oracle["loss"]), 16);
      expect_close(logits, from_json<T>(oracle["gradient"]), 16);
    });
  }
}

TYPED_TEST(CrossEntropyRows, LetsNanThroughWithinItsRow) {
  using T = TypeParam;
  for_each_target([] {
    for (const size_t at : {0, 5, 36}) {
      auto logits = random_values<T>(2 * 37, 1);
      logits[at] = nan_of<T>();
      const std::vector<int64_t> targets{1, 1};
      std::vector<float> loss(2);
      cross_entropy(logits.data(), targets.data(), loss.data(), 2, 37, {.gradient = true});
      EXPECT_TRUE(std::isnan(loss[0]));
      EXPECT_TRUE(std::isnan(reference::wide(logits[20])));
      EXPECT_TRUE(std::isfinite(loss[1]));
      EXPECT_TRUE(std::isfinite(reference::wide(logits[40])));
    }
  });
}

}  // namespace
}  // namespace lathe::kernels
