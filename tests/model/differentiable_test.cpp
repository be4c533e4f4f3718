// loss.backward() through our one node against transformers' gradients.
#include "model/differentiable.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

TEST(DifferentiableTest, BackwardOfALossGivesTransformersGradients) {
  for (const char* name : {"qwen2_tied", "qwen3_untied_bias"}) {
    const testing::Oracle oracle(name);
    TensorMap parameters;
    for (const auto& [id, tensor] : oracle.weights())
      parameters[id] = tensor.clone().requires_grad_(id.site != Site::kUp);
    testing::MapStore store(oracle.shape);
    for (const auto& [id, tensor] : parameters) store.add({{id, tensor.detach()}});
    CausalLM model(oracle.shape, testing::fp32_options());
    const Batch batch = testing::lay_out(oracle.rows);
    const at::Tensor loss = differentiable_loss(model, batch, store, parameters);
    EXPECT_NEAR(loss.item<float>(), oracle.number("loss"), 1e-6 * oracle.number("loss"));
    (loss * 0.5).backward();
    for (const auto& [id, tensor] : parameters) {
      ASSERT_EQ(tensor.grad().defined(), id.site != Site::kUp) << hf_name(id);
      if (tensor.grad().defined()) {
        EXPECT_LE(testing::relative(tensor.grad() * 2, oracle.get("grad." + hf_name(id))), 1e-4) << hf_name(id);
      }
    }
  }
}

}  // namespace
}  // namespace lathe
