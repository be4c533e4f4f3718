#include "model/head_tokens.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using testing::fp32_options;
using testing::lay_out;
using testing::Row;

constexpr int32_t kMasked = kIgnoreLabel;
// A question and its answer, two turns, nothing supervised, everything.
const std::vector<Row> kRows = {{{1, 2, 3, 4, 5}, {kMasked, kMasked, kMasked, 4, 5}},
                                {{6, 7, 8, 9, 1, 2}, {kMasked, kMasked, 8, kMasked, kMasked, 2}},
                                {{3, 4, 5}, {kMasked, kMasked, kMasked}},
                                {{6, 7}, {6, 7}}};

TEST(HeadTokensTest, StartWithTheFirstSupervisedTokenOfEachRow) {
  const HeadTokens chosen = head_tokens(lay_out(kRows));
  EXPECT_TRUE(chosen.positions.equal(at::tensor({2, 3, 4, 6, 7, 8, 9, 10, 13, 14, 15}, at::kLong)));
  EXPECT_EQ(chosen.targets,
            (std::vector<int32_t>{4, 5, kMasked, 8, kMasked, kMasked, 2, kMasked, kMasked, 7, kMasked}));
  ASSERT_EQ(chosen.rows.size(), 4u);
  const ops::AttentionRow& turns = chosen.rows[1];
  EXPECT_EQ(turns.query_begin, 3);
  EXPECT_EQ(turns.num_queries, 5);
  EXPECT_EQ(turns.key_begin, 5);
  EXPECT_EQ(turns.num_keys, 6);
}

TEST(HeadTokensTest, TheLossIsThatOfWholeLogits) {
  const testing::Oracle oracle("qwen3_tied");
  testing::MapStore store(oracle.shape);
  store.add(oracle.weights());
  CausalLM model(oracle.shape, fp32_options());
  const Batch batch = lay_out(kRows);
  const at::Tensor logs = at::log_softmax(model.logits(batch, store), 1);
  double expected = 0;
  for (size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i] != kMasked) expected -= logs[static_cast<int64_t>(i)][batch.targets[i]].item<double>();
  }
  EXPECT_NEAR(model.forward(batch, store, nullptr, *make_saved_activations(), 1, true, {}), expected, 1e-5 * expected);
}

TEST(HeadTokensTest, ARowWithNothingSupervisedAddsNoGradient) {
  const testing::Oracle oracle("qwen3_tied");
  const TensorMap weights = oracle.weights();
  const auto gradients_of = [&](const std::vector<Row>& rows) {
    testing::MapStore store(oracle.shape);
    store.add(weights);
    store.train(weights);
    CausalLM model(oracle.shape, fp32_options());
    (void)testing::step(model, store, lay_out(rows));
    return store.gradients;
  };
  const TensorMap with = gradients_of(kRows), without = gradients_of({kRows[0], kRows[1], kRows[3]});
  for (const auto& [id, gradient] : with) {
    EXPECT_LE(testing::max_abs(gradient, without.at(id)), 1e-5) << hf_name(id);
  }
}

}  // namespace
}  // namespace lathe
