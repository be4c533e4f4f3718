#include "engine/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lathe {
namespace {

TEST(GradientNorm, ShowsWhatIsNotFinite) {
  std::vector<TrainableParameter> parameters(1);
  parameters[0].gradient = at::ones({3});
  parameters[0].gradient[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(gradient_norm(parameters)));
  parameters[0].gradient[1] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(gradient_norm(parameters)));
}

TEST(GradientNorm, AddsUpBothTypes) {
  std::vector<TrainableParameter> parameters(2);
  parameters[0].gradient = at::full({4}, 1.5, at::kFloat);
  parameters[1].gradient = at::full({2, 8}, -0.25, at::kBFloat16);
  EXPECT_DOUBLE_EQ(gradient_norm(parameters), std::sqrt(4 * 2.25 + 16 * 0.0625));
}

TEST(ClipCoefficient, NeverRaisesAGradient) {
  EXPECT_EQ(clip_coefficient(0.5, 1), 1);
  EXPECT_EQ(clip_coefficient(0, 1), 1);
  EXPECT_EQ(clip_coefficient(123, 0), 1);
  EXPECT_NEAR(clip_coefficient(4, 1), 0.25, 1e-6);
}

}  // namespace
}  // namespace lathe
