#include "model/neftune.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/causal_lm.h"

namespace lathe {
namespace {

at::Tensor noise(double alpha, int64_t longest, const DropoutKey& key, at::ScalarType dtype = at::kFloat) {
  at::Tensor hidden = at::zeros({60, 130}, at::dtype(dtype));
  add_neftune_noise(hidden, alpha, longest, key);
  return hidden.to(at::kFloat);
}

// transformers: uniform in ± alpha / sqrt(length · hidden), whose variance is the square of that over 3.
TEST(Neftune, IsUniformWithTheMagnitudeOfTransformers) {
  const double bound = 5 / std::sqrt(20.0 * 130);
  const at::Tensor drawn = noise(5, 20, {.seed = 42, .step = 3});
  EXPECT_LE(drawn.abs().max().item<double>(), bound * 1.000001);
  EXPECT_GT(drawn.max().item<double>(), bound * 0.99);
  EXPECT_LT(drawn.min().item<double>(), -bound * 0.99);
  EXPECT_NEAR(drawn.mean().item<double>(), 0, 4 * bound / std::sqrt(3.0 * 60 * 130));
  EXPECT_NEAR(drawn.var().item<double>(), bound * bound / 3, bound * bound / 3 * 0.06);
  // neighbours, rows and steps have nothing to do with one another
  const at::Tensor flat = drawn.flatten();
  const double along = (flat.slice(0, 1) * flat.slice(0, 0, -1)).mean().item<double>();
  EXPECT_NEAR(along / (bound * bound / 3), 0, 0.05);
}

TEST(Neftune, IsAFunctionOfItsKey) {
  const DropoutKey key{.seed = 7, .step = 2, .micro_batch = 1};
  EXPECT_TRUE(at::equal(noise(5, 20, key), noise(5, 20, key)));
  EXPECT_FALSE(at::equal(noise(5, 20, key), noise(5, 20, {.seed = 8, .step = 2, .micro_batch = 1})));
  EXPECT_FALSE(at::equal(noise(5, 20, key), noise(5, 20, {.seed = 7, .step = 3, .micro_batch = 1})));
  EXPECT_FALSE(at::equal(noise(5, 20, key), noise(5, 20, {.seed = 7, .step = 2, .micro_batch = 2})));
  EXPECT_TRUE(at::equal(noise(10, 20, key), noise(5, 20, key) * 2));
  EXPECT_TRUE(at::equal(noise(5, 20, key, at::kBFloat16), noise(5, 20, key).to(at::kBFloat16).to(at::kFloat)));
}

}  // namespace
}  // namespace lathe
