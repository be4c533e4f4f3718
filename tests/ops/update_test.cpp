#include "ops/update.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

using testing::draw;

TEST(SumOfSquares, IsTorchsInDoubleWhateverTheThreads) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = draw({100'003}, 1).to(dtype);
    const double expected = x.to(at::kDouble).square().sum().item<double>();
    const double ours = sum_of_squares(x);
    EXPECT_NEAR(ours, expected, 1e-12 * expected);
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    EXPECT_EQ(sum_of_squares(x), ours);
    at::set_num_threads(threads);
  }
  EXPECT_EQ(sum_of_squares(at::empty({0})), 0);
}

TEST(AdamWUpdate, FollowsItsFormulaOverSeveralPieces) {
  const at::Tensor start = draw({3, 20'001}, 2), gradient = draw({3, 20'001}, 3);
  const at::Tensor parameter = start.clone(), m = draw({3, 20'001}, 4), v = draw({3, 20'001}, 5).square();
  const at::Tensor g = gradient.to(at::kDouble) * 0.5;
  const at::Tensor m1 = m.to(at::kDouble) * 0.9 + g * 0.1, v1 = v.to(at::kDouble) * 0.99 + g * g * 0.01;
  const double c1 = 1 - std::pow(0.9, 7), c2 = 1 - std::pow(0.99, 7);
  const at::Tensor expected =
      start.to(at::kDouble) * (1 - 1e-2 * 0.1) - 1e-2 * (m1 / c1) / ((v1 / c2).sqrt() + 1e-8);
  adamw(parameter, gradient, m, v, kernels::adamw_step(1e-2, 0.9, 0.99, 1e-8, 0.1, 7, 0.5));
  EXPECT_LE(testing::relative(parameter, expected), 1e-6);
  EXPECT_LE(testing::relative(m, m1), 1e-6);
  EXPECT_LE(testing::relative(v, v1), 1e-6);
}

}  // namespace
}  // namespace lathe::ops
