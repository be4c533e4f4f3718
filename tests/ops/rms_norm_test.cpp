#include "ops/rms_norm.h"

#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;
using testing::relative;

constexpr double kEps = 1e-6;

TEST(RmsNormTest, EqualsTorchAndItsAutograd) {
  for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {5, 64}, {2, 897}}) {
    const at::Tensor x = draw({rows, width}, 1) * 3, weight = draw({width}, 2), dy = draw({rows, width}, 3);
    const auto reference = [&](const std::vector<at::Tensor>& in) { return at::rms_norm(in[0], {width}, in[1], kEps); };
    at::Tensor rstd, dweight;
    EXPECT_LE(relative(rms_norm(x, weight, kEps, &rstd), reference({x, weight})), 1e-6);
    const auto theirs = testing::autograd_gradients(reference, {x, weight}, dy);
    const at::Tensor dx = rms_norm_backward(dy, x, weight, rstd, &dweight);
    // One element a row: the norm takes its size away, so its gradient is a rest of rounding.
    if (width > 1) {
      EXPECT_LE(relative(dx, theirs[0]), 1e-5) << rows << "x" << width;
    }
    EXPECT_LE(relative(dweight, theirs[1]), 1e-5) << rows << "x" << width;
    EXPECT_FALSE(rms_norm_backward(dy, x, weight, rstd, &dweight, false).defined());
  }
}

TEST(RmsNormTest, Bf16RoundsWhereTransformersRounds) {
  const at::Tensor x = draw({6, 128}, 4, at::kBFloat16), weight = draw({128}, 5, at::kBFloat16);
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor normed = wide * at::rsqrt(wide.pow(2).mean(-1, true) + kEps);
  const at::Tensor y = rms_norm(x, weight, kEps, nullptr);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  // Two orders of adding up a row may put one of a thousand values on the other side of a rounding.
  const at::Tensor same = y.eq(weight * normed.to(at::kBFloat16));
  EXPECT_GE(same.to(at::kFloat).mean().item<float>(), 0.998F);
}

}  // namespace
}  // namespace lathe::ops
