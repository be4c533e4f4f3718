// Adapters under dropout: gradients against finite differences of the loss.
#include "model/projection.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using testing::lora_options;
using testing::MapStore;
using testing::Oracle;
using testing::step;

// Loss of a model with dropout as a function of its adapter: with the masks held fixed, finite differences apply.
TEST(ProjectionTest, GradientsUnderDropoutEqualFiniteDifferences) {
  const Oracle oracle("qwen3_tied");
  const TensorMap adapter = oracle.adapter();
  ModelOptions options = lora_options();
  options.lora.dropout = 0.5;
  CausalLM model(oracle.shape, options);
  const Batch batch = testing::lay_out(oracle.rows);
  const DropoutKey key{.seed = 11, .step = 2, .micro_batch = 3, .enabled = true};
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  store.add(adapter);
  store.train(adapter);
  (void)step(model, store, batch, key);
  for (const Site site : {Site::kQ, Site::kV, Site::kO, Site::kUp, Site::kDown}) {
    for (const Part part : {Part::kLoraA, Part::kLoraB}) {
      const ParameterId id{BlockId::decoder(0), site, part};
      const at::Tensor direction = store.gradients.at(id) / store.gradients.at(id).norm();
      double losses[2];
      constexpr double kStep = 1e-2;
      for (const int side : {0, 1}) {
        MapStore moved(oracle.shape);
        moved.add(oracle.weights());
        moved.add(adapter);
        moved.add({{id, adapter.at(id) + direction * (side == 0 ? -kStep : kStep)}});
        const auto saved = make_saved_activations();
        losses[side] = model.forward(batch, moved, nullptr, *saved, 1, true, key);
      }
      const double slope = (losses[1] - losses[0]) / (2 * kStep),
                   expected = store.gradients.at(id).norm().item<double>();
      EXPECT_NEAR(slope, expected, 2e-2 * expected) << hf_name(id);
    }
  }
}

}  // namespace
}  // namespace lathe
