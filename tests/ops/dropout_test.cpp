#include "ops/dropout.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/autograd_reference.h"

namespace lathe::ops {
namespace {

TEST(DropoutTest, DropsTheShareAskedForAndScalesTheRest) {
  constexpr int64_t kCount = 1'000'003;
  for (const double p : {0.0, 0.05, 0.5, 0.9}) {
    const at::Tensor y = dropout(at::ones({kCount}), {.seed = 9, .step = 1, .probability = p});
    const double dropped = y.eq(0).sum().item<double>() / kCount;
    EXPECT_NEAR(dropped, p, 5 * std::sqrt(p * (1 - p) / kCount) + 1e-12);
    EXPECT_NEAR(y.max().item<float>(), 1 / (1 - p), 1e-5);
  }
}

TEST(DropoutTest, MaskIsAFunctionOfItsNameAlone) {
  const at::Tensor x = at::ones({10'000});
  const DropoutMask mask{.seed = 5, .step = 3, .micro_batch = 2, .layer = 7, .site = 1, .probability = 0.5};
  const at::Tensor first = dropout(x, mask);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(first, dropout(x, mask)));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(first, dropout(x.to(at::kBFloat16), mask).to(at::kFloat)));
  EXPECT_TRUE(at::equal(first.narrow(0, 0, 77), dropout(x.narrow(0, 0, 77), mask)));
  // Any other name: half of the elements agree, as independent masks do.
  DropoutMask others[5] = {mask, mask, mask, mask, mask};
  others[0].seed = 6, others[1].step = 4, others[2].micro_batch = 3, others[3].layer = 8, others[4].site = 2;
  for (const DropoutMask& other : others) {
    EXPECT_NEAR(dropout(x, other).eq(first).to(at::kFloat).mean().item<float>(), 0.5, 0.025);
  }
}

TEST(DropoutTest, NeighboursAreIndependent) {
  const at::Tensor y = dropout(at::ones({1'000'000}), {.seed = 1, .probability = 0.3}).ne(0).to(at::kDouble);
  const at::Tensor centred = y - y.mean();
  for (const int64_t lag : {1, 2, 3, 4, 16, 64, 128, 896}) {
    const int64_t n = y.size(0) - lag;
    const double correlation =
        ((centred.narrow(0, 0, n) * centred.narrow(0, lag, n)).mean() / centred.pow(2).mean()).item<double>();
    EXPECT_NEAR(correlation, 0, 5e-3) << lag;
  }
}

}  // namespace
}  // namespace lathe::ops
