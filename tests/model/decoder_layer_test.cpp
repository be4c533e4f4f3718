// What a layer keeps and works out: recomputation bit for bit, and nothing but what trains.
#include "model/decoder_layer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using testing::fp32_options;
using testing::kModels;
using testing::lora_options;
using testing::MapStore;
using testing::Oracle;
using testing::relative;
using testing::step;

class Layers : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Stored, Layers, ::testing::ValuesIn(kModels));

TEST_P(Layers, RecomputationGivesTheSameBits) {
  const Oracle oracle(GetParam());
  const TensorMap weights = oracle.weights(), adapter = oracle.adapter();
  std::vector<TensorMap> gradients;
  for (const Recompute recompute : {Recompute::kNothing, Recompute::kAttention, Recompute::kMlp, Recompute::kLayer}) {
    MapStore store(oracle.shape);
    store.add(weights);
    store.add(adapter);
    store.train(weights);
    store.train(adapter);
    ModelOptions options = lora_options();
    options.lora.dropout = 0.3;
    options.recompute = recompute;
    CausalLM model(oracle.shape, options);
    (void)step(model, store, testing::lay_out(oracle.rows), {.seed = 3, .step = 5, .micro_batch = 1, .enabled = true});
    gradients.push_back(store.gradients);
  }
  for (const TensorMap& again : gradients) {
    ASSERT_EQ(gradients[0].size(), again.size());
    for (const auto& [id, gradient] : gradients[0]) EXPECT_TRUE(at::equal(gradient, again.at(id))) << hf_name(id);
  }
}

TEST(DecoderLayerTest, OnlyWhatTrainsIsComputed) {
  const Oracle oracle("qwen3_untied_bias");
  const TensorMap weights = oracle.weights();
  // Each parameter alone gets the gradient that it gets among all others, and nothing else is handed over.
  for (const auto& [id, weight] : weights) {
    MapStore store(oracle.shape);
    store.add(weights);
    store.want(id);
    CausalLM model(oracle.shape, fp32_options());
    (void)step(model, store, testing::lay_out(oracle.rows));
    ASSERT_EQ(store.gradients.size(), 1U) << hf_name(id);
    EXPECT_LE(relative(store.gradients.at(id), oracle.get("grad." + hf_name(id))), 1e-4) << hf_name(id);
  }
}

}  // namespace
}  // namespace lathe
