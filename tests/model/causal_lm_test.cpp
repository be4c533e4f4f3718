// Logits, losses and gradients against transformers' and peft's own (tests/oracle/model_logits.py).
#include "model/causal_lm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using testing::fp32_options;
using testing::kModels;
using testing::lora_options;
using testing::MapStore;
using testing::max_abs;
using testing::Oracle;
using testing::relative;
using testing::step;

// Softmax does not see what all keys of a row have in common, so a key bias' gradient is a small rest of large terms.
double bound_of(const ParameterId& id) {
  return id.site == Site::kK && id.part == Part::kBias ? 1e-4 : 1e-5;
}

class Models : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Stored, Models, ::testing::ValuesIn(kModels));

TEST_P(Models, LogitsEqualTransformers) {
  const Oracle oracle(GetParam());
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  CausalLM model(oracle.shape, fp32_options());
  EXPECT_LE(max_abs(model.logits(testing::lay_out(oracle.rows), store), oracle.logits("logits.")), 1e-5);
}

TEST_P(Models, Bf16IsNoFurtherFromFp32ThanTransformers) {
  const Oracle oracle(GetParam());
  MapStore store(oracle.shape);
  store.add(oracle.weights(at::kBFloat16));
  CausalLM model(oracle.shape, {.compute_dtype = at::kBFloat16});
  const at::Tensor exact = oracle.logits("logits.");
  const double theirs = relative(oracle.logits("bf16_logits."), exact);
  const double ours = relative(model.logits(testing::lay_out(oracle.rows), store), exact);
  RecordProperty("ratio", std::to_string(ours / theirs));
  EXPECT_LE(ours, 1.05 * theirs);
  EXPECT_GT(theirs, 1e-3);
}

TEST_P(Models, EveryGradientEqualsTransformers) {
  const Oracle oracle(GetParam());
  const TensorMap weights = oracle.weights();
  MapStore store(oracle.shape);
  store.add(weights);
  store.train(weights);
  CausalLM model(oracle.shape, fp32_options());
  const double loss = step(model, store, testing::lay_out(oracle.rows));
  EXPECT_NEAR(loss, oracle.number("loss"), 1e-6 * loss);
  EXPECT_EQ(store.gradients.size(), weights.size());
  for (const auto& [id, gradient] : store.gradients) {
    EXPECT_LE(relative(gradient, oracle.get("grad." + hf_name(id))), bound_of(id)) << hf_name(id);
    const bool both_ends = id.site == Site::kEmbedTokens && oracle.shape.tie_word_embeddings;
    EXPECT_EQ(store.contributions[id], both_ends ? 2 : 1) << hf_name(id);
  }
}

TEST_P(Models, AdapterGradientsEqualPeft) {
  const Oracle oracle(GetParam());
  const TensorMap adapter = oracle.adapter();
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  store.add(adapter);
  store.train(adapter);
  CausalLM model(oracle.shape, lora_options());
  const double loss = step(model, store, testing::lay_out(oracle.rows));
  EXPECT_NEAR(loss, oracle.number("lora_loss"), 1e-6 * loss);
  EXPECT_EQ(store.gradients.size(), static_cast<size_t>(oracle.shape.num_layers) * 14);
  for (const auto& [id, gradient] : store.gradients) {
    EXPECT_LE(relative(gradient, oracle.get("lora_grad." + peft_name(id))), 1e-5) << hf_name(id);
  }
}

TEST_P(Models, LabelSmoothingEqualsTransformers) {
  const Oracle oracle(GetParam());
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  ModelOptions options = fp32_options();
  options.label_smoothing = 0.1;
  CausalLM model(oracle.shape, options);
  const auto saved = make_saved_activations();
  const double loss = model.forward(testing::lay_out(oracle.rows), store, nullptr, *saved, 1, true, {});
  EXPECT_NEAR(loss, oracle.number("smooth_loss"), 1e-6 * loss);
}

TEST_P(Models, RowsLaidEndToEndEqualRowsAlone) {
  const Oracle oracle(GetParam());
  const TensorMap adapter = oracle.adapter();
  const auto gradients_of = [&](const std::vector<std::vector<testing::Row>>& batches) {
    MapStore store(oracle.shape);
    store.add(oracle.weights());
    store.add(adapter);
    store.train(adapter);
    CausalLM model(oracle.shape, lora_options());
    for (const auto& rows : batches) (void)step(model, store, testing::lay_out(rows));
    return store.gradients;
  };
  std::vector<std::vector<testing::Row>> alone;
  for (const testing::Row& row : oracle.rows) alone.push_back({row});
  const TensorMap together = gradients_of({oracle.rows}), apart = gradients_of(alone);
  for (const auto& [id, gradient] : together) EXPECT_LE(relative(gradient, apart.at(id)), 1e-5) << hf_name(id);
}

// One tiny model's rounding errors differ by a third between their own two attention implementations: all are summed.
TEST(CausalLMTest, Bf16AdapterGradientsAreAsCloseAsPefts) {
  double our_error = 0, their_error = 0;
  for (const char* name : kModels) {
    const Oracle oracle(name);
    TensorMap adapter = oracle.adapter();
    for (auto& [id, tensor] : adapter) tensor = tensor.to(at::kBFloat16);
    MapStore store(oracle.shape);
    store.add(oracle.weights(at::kBFloat16));
    store.add(adapter);
    store.train(adapter);
    CausalLM model(oracle.shape, lora_options(at::kBFloat16));
    const double loss = step(model, store, testing::lay_out(oracle.rows));
    EXPECT_NEAR(loss, oracle.number("lora_loss"), 3e-3 * loss);
    std::vector<at::Tensor> ours, theirs, exact;
    for (const auto& [id, gradient] : store.gradients) {
      ours.push_back(gradient.flatten());
      theirs.push_back(oracle.get("lora_bf16_grad." + peft_name(id)).flatten());
      exact.push_back(oracle.get("lora_grad." + peft_name(id)).flatten());
    }
    our_error += relative(at::cat(ours), at::cat(exact));
    their_error += relative(at::cat(theirs), at::cat(exact));
  }
  EXPECT_LE(our_error, their_error);
  EXPECT_GT(their_error, 0.01);
}

TEST(CausalLMTest, LossScaleMultipliesGradientsAndNotTheLoss) {
  const Oracle oracle("qwen2_tied");
  const TensorMap weights = oracle.weights();
  MapStore store(oracle.shape);
  store.add(weights);
  store.train(weights);
  CausalLM model(oracle.shape, fp32_options());
  const double loss = step(model, store, testing::lay_out(oracle.rows), {}, 0.25);
  EXPECT_NEAR(loss, oracle.number("loss"), 1e-6 * loss);
  for (const auto& [id, gradient] : store.gradients) {
    EXPECT_LE(relative(gradient * 4, oracle.get("grad." + hf_name(id))), bound_of(id)) << hf_name(id);
  }
}

TEST(CausalLMTest, BatchWithoutTargetsHasNoLossAndZeroGradients) {
  const Oracle oracle("qwen2_tied");
  const TensorMap weights = oracle.weights();
  MapStore store(oracle.shape);
  store.add(weights);
  store.train(weights);
  CausalLM model(oracle.shape, fp32_options());
  testing::Row row = oracle.rows[0];
  row.labels.assign(row.labels.size(), kIgnoreLabel);
  EXPECT_EQ(step(model, store, testing::lay_out({row})), 0);
  EXPECT_EQ(store.gradients.size(), weights.size());
  for (const auto& [id, gradient] : store.gradients) EXPECT_EQ(gradient.abs().max().item<float>(), 0) << hf_name(id);
}

TEST(CausalLMTest, DropoutDependsOnItsKeyAlone) {
  const Oracle oracle("qwen2_tied");
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  store.add(oracle.adapter());
  ModelOptions options = lora_options();
  options.lora.dropout = 0.2;
  CausalLM model(oracle.shape, options);
  const auto loss = [&](const DropoutKey& key) {
    const auto saved = make_saved_activations();
    return model.forward(testing::lay_out(oracle.rows), store, nullptr, *saved, 1, true, key);
  };
  const DropoutKey key{.seed = 1, .step = 1, .micro_batch = 0, .enabled = true};
  const double first = loss(key);
  EXPECT_EQ(first, loss(key));
  EXPECT_NE(first, loss({.seed = 2, .step = 1, .micro_batch = 0, .enabled = true}));
  EXPECT_NE(first, loss({.seed = 1, .step = 2, .micro_batch = 0, .enabled = true}));
  EXPECT_NE(first, loss({.seed = 1, .step = 1, .micro_batch = 1, .enabled = true}));
  EXPECT_NEAR(loss({}), oracle.number("lora_loss"), 1e-3);
}

}  // namespace
}  // namespace lathe
