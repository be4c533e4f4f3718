#include "ops/cross_entropy.h"

#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

TEST(CrossEntropyTest, EqualsTorchAndItsAutograd) {
  for (const double smoothing : {0.0, 0.1}) {
    for (const auto& [dtype, bound] : {std::pair{at::kFloat, 2e-6}, std::pair{at::kBFloat16, 4e-3}}) {
      at::Tensor logits = (draw({6, 301}, 1) * 5).to(dtype);
      const at::Tensor wide = logits.to(at::kDouble), targets = at::arange(6, at::kLong) * 50;
      const auto reference = [&](const std::vector<at::Tensor>& in) {
        return at::cross_entropy_loss(in[0], targets, {}, at::Reduction::Sum, -100, smoothing);
      };
      const double expected = reference({wide}).item<double>();
      const auto theirs = testing::autograd_gradients(reference, {wide}, at::full({}, 0.25, at::kDouble));
      at::Tensor kept = logits.clone();
      EXPECT_NEAR(cross_entropy(kept, targets, smoothing, std::nullopt), expected, 1e-6 * expected);
      EXPECT_TRUE(at::equal(kept, logits));
      EXPECT_NEAR(cross_entropy(logits, targets, smoothing, 0.25), expected, 1e-6 * expected);
      EXPECT_LE(relative(logits, theirs[0]), bound);
    }
  }
}

TEST(CrossEntropyTest, ScaleOfZeroGivesZeroGradients) {
  at::Tensor logits = draw({2, 9}, 3);
  (void)cross_entropy(logits, at::zeros({2}, at::kLong), 0, 0.0);
  EXPECT_EQ(logits.abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace lathe::ops
