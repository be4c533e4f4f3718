#include "train/throughput.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

ModelShape half_billion() {
  ModelShape shape;  // Qwen2.5-0.5B
  shape.vocab_size = 151936;
  shape.hidden_size = 896;
  shape.intermediate_size = 4864;
  shape.num_layers = 24;
  shape.num_heads = 14;
  shape.num_kv_heads = 2;
  shape.head_dim = 64;
  shape.qkv_bias = true;
  shape.tie_word_embeddings = true;
  return shape;
}

// Six operations a parameter and token, forward and backward, for a whole model and short rows (Kaplan et al. 2020).
TEST(FlopsPerToken, WholeModelIsSixAParameter) {
  const ModelShape shape = half_billion();
  const auto parameters = static_cast<double>(shape.num_parameters());
  EXPECT_NEAR(flops_per_token(shape, shape.num_parameters(), true, 1) / parameters, 6.0, 0.01);
}

TEST(FlopsPerToken, FrozenWeightsNeedNoGradients) {
  const ModelShape shape = half_billion();
  const auto parameters = static_cast<double>(shape.num_parameters());
  EXPECT_NEAR(flops_per_token(shape, 0, false, 1) / parameters, 4.0, 0.01);
}

TEST(FlopsPerToken, AttentionGrowsWithTheRow) {
  const ModelShape shape = half_billion();
  const double shorter = flops_per_token(shape, 0, false, 100), longer = flops_per_token(shape, 0, false, 1100);
  // 24 layers, 14 heads of 64, a thousand tokens more: half of them seen on average, 2 products, 3 passes, 2
  // operations.
  EXPECT_NEAR(longer - shorter, 24.0 * 14 * 64 * 500 * 12, 1.0);
}

TEST(MeasureMatmul, IsARateOfThisMachine) {
  const double rate = measure_matmul_flops(at::ScalarType::Float);
  EXPECT_GT(rate, 1e8);
  EXPECT_LT(rate, 1e16);
}

}  // namespace
}  // namespace lathe
