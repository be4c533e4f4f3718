// The head's loss and gradients do not depend on how many tokens are looked at together.
#include "model/head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using testing::fp32_options;
using testing::MapStore;
using testing::Oracle;
using testing::relative;
using testing::step;

TEST(HeadTest, ChunksOfAnySizeGiveTransformersGradients) {
  for (const char* name : {"qwen2_tied", "qwen2_untied_yarn"}) {
    const Oracle oracle(name);
    const TensorMap weights = oracle.weights();
    const ParameterId matrix = oracle.shape.tie_word_embeddings
                                   ? ParameterId{BlockId::embedding(), Site::kEmbedTokens, Part::kWeight}
                                   : ParameterId{BlockId::head(), Site::kLmHead, Part::kWeight};
    for (const int64_t chunk : {1, 5, 4096}) {
      MapStore store(oracle.shape);
      store.add(weights);
      store.want(matrix);
      store.want({BlockId::head(), Site::kFinalNorm, Part::kWeight});
      ModelOptions options = fp32_options();
      options.loss_chunk_tokens = chunk;
      CausalLM model(oracle.shape, options);
      const double loss = step(model, store, testing::lay_out(oracle.rows));
      EXPECT_NEAR(loss, oracle.number("loss"), 1e-6 * loss);
      EXPECT_EQ(store.gradients.size(), 2U);
      for (const auto& [id, gradient] : store.gradients) {
        EXPECT_LE(relative(gradient, oracle.get("grad." + hf_name(id))), 1e-5) << hf_name(id) << " " << chunk;
      }
    }
  }
}

TEST(HeadTest, EvaluationGivesTheSameLossAsTraining) {
  const Oracle oracle("qwen3_tied");
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  CausalLM model(oracle.shape, fp32_options());
  const auto saved = make_saved_activations();
  const Batch batch = testing::lay_out(oracle.rows);
  const double evaluated = model.forward(batch, store, nullptr, *saved, 1, true, {});
  EXPECT_EQ(evaluated, model.forward(batch, store, &store, *saved, 1, true, {}));
}

}  // namespace
}  // namespace lathe
