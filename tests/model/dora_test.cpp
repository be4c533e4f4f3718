// DoRA against peft (tests/oracle/dora.py), and under dropout against autograd over peft's formula (asked of peft by
// tests/parity/facts.py).
#include "model/dora.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/fixtures.h"
#include "model/projection.h"

namespace lathe {
namespace {

using testing::MapStore;
using testing::Oracle;
using testing::relative;
using testing::step;

constexpr const char* kDoraModels[] = {"qwen2_tied", "qwen3_untied_bias"};

LoraConfig config() {
  return {.r = 4, .alpha = 6, .target_modules = "all-linear", .use_dora = true};
}

/// peft's values for one model.
struct DoraOracle {
  explicit DoraOracle(const std::string& name)
      : model(name),
        file(SafetensorsFile::open(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/lora/dora_" + name +
                                   ".safetensors")) {}
  at::Tensor get(const std::string& name) const { return map_tensor(file, file.tensors().at(name)); }
  TensorMap adapter() const {
    TensorMap adapter;
    for (const auto& [name, entry] : file.tensors()) {
      if (name.starts_with("lora.")) adapter[parse_hf_name(name.substr(5)).value()] = map_tensor(file, entry);
    }
    return adapter;
  }
  TensorMap norms_of_base() const {
    TensorMap norms;
    for (const auto& [id, tensor] : model.weights()) {
      if (id.site != Site::kFinalNorm && tensor.dim() == 1 && id.part == Part::kWeight) norms[id] = tensor;
    }
    return norms;
  }
  Oracle model;
  SafetensorsFile file;
};

TEST(DoraTest, FirstMagnitudesEqualPeftsBitForBit) {
  for (const char* name : kDoraModels) {
    const DoraOracle oracle(name);
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      TensorMap adapter = init_lora_weights(config(), oracle.model.shape, 5, dtype);
      set_first_magnitudes(adapter, {.dense = oracle.model.weights(dtype), .quantized = {}}, dtype);
      size_t compared = 0;
      for (const auto& [id, tensor] : adapter) {
        if (id.part != Part::kLoraMagnitude) continue;
        const std::string prefix = dtype == at::kFloat ? "first." : "bf16_first.";
        EXPECT_TRUE(at::equal(tensor, oracle.get(prefix + peft_name(id)))) << name << " " << hf_name(id);
        ++compared;
      }
      EXPECT_EQ(compared, 14U);
    }
  }
}

/// Those of the norms below each projection show that the inputs' gradients are right too.
TEST(DoraTest, LossAndGradientsEqualPeft) {
  for (const char* name : kDoraModels) {
    for (const Recompute recompute : {Recompute::kNothing, Recompute::kMlp, Recompute::kAttention, Recompute::kLayer}) {
      const DoraOracle oracle(name);
      const TensorMap adapter = oracle.adapter(), norms = oracle.norms_of_base();
      MapStore store(oracle.model.shape);
      store.add(oracle.model.weights());
      store.add(adapter);
      store.train(adapter);
      store.train(norms);
      ModelOptions options = testing::lora_options();
      options.recompute = recompute;
      CausalLM model(oracle.model.shape, options);
      const double loss = step(model, store, testing::lay_out(oracle.model.rows));
      EXPECT_NEAR(loss, oracle.get("loss").item<double>(), 1e-6 * loss);
      EXPECT_EQ(store.gradients.size(), adapter.size() + norms.size());
      for (const auto& [id, gradient] : store.gradients) {
        EXPECT_LE(relative(gradient, oracle.get("grad." + peft_name(id))), 2e-5) << name << " " << hf_name(id);
      }
    }
  }
}

/// As AdapterGradientsEqualPeft in bf16: not further from the exact ones than peft's own.
TEST(DoraTest, Bf16GradientsAreAsCloseAsPefts) {
  double our_error = 0, their_error = 0;
  for (const char* name : kDoraModels) {
    const DoraOracle oracle(name);
    TensorMap adapter = oracle.adapter();
    for (auto& [id, tensor] : adapter) {
      if (id.part != Part::kLoraMagnitude) tensor = tensor.to(at::kBFloat16);
    }
    MapStore store(oracle.model.shape);
    store.add(oracle.model.weights(at::kBFloat16));
    store.add(adapter);
    store.train(adapter);
    CausalLM model(oracle.model.shape, testing::lora_options(at::kBFloat16));
    const double loss = step(model, store, testing::lay_out(oracle.model.rows));
    EXPECT_NEAR(loss, oracle.get("loss").item<double>(), 3e-3 * loss);
    std::vector<at::Tensor> ours, theirs, exact;
    for (const auto& [id, gradient] : store.gradients) {
      ours.push_back(gradient.flatten());
      theirs.push_back(oracle.get("bf16_grad." + peft_name(id)).flatten());
      exact.push_back(oracle.get("grad." + peft_name(id)).flatten());
    }
    our_error += relative(at::cat(ours), at::cat(exact));
    their_error += relative(at::cat(theirs), at::cat(exact));
  }
  EXPECT_LE(our_error, their_error);
  EXPECT_GT(their_error, 0.01);
}

/// For weights that stay as they are the norms are worked out once: the same logits.
TEST(DoraTest, FixedMagnitudesGiveTheSameLogits) {
  const DoraOracle oracle("qwen2_tied");
  TensorMap weights = oracle.model.weights();
  for (const auto& [id, tensor] : oracle.adapter()) weights[id] = tensor;
  const auto logits = [&](bool fixed) {
    MapStore store(oracle.model.shape);
    store.add(weights);
    ModelOptions options = testing::lora_options();
    options.lora.magnitudes_fixed = fixed;
    return CausalLM(oracle.model.shape, options).logits(testing::lay_out({oracle.model.rows[1]}), store);
  };
  const at::Tensor direct = logits(false);
  EXPECT_GT(testing::max_abs(logits(true), direct), 1e-2);
  fix_magnitudes(weights, config());
  EXPECT_LE(testing::max_abs(logits(true), direct), 1e-5);
}

/// One projection with dropout: base on x, the rest on dropped x, the norm a constant.
TEST(DoraTest, UnderDropoutAProjectionIsPeftsFormula) {
  const DoraOracle oracle("qwen2_tied");
  const TensorMap base = oracle.model.weights(), adapter = oracle.adapter();
  const BlockId block = BlockId::decoder(1);
  MapStore store(oracle.model.shape);
  store.add(base);
  store.add(adapter);
  store.train(adapter);
  ModelOptions options = testing::lora_options();
  options.lora.dropout = 0.3;
  const PassContext pass{.shape = oracle.model.shape,
                         .options = options,
                         .rotary = {},
                         .rows = {},
                         .dropout = {.seed = 3, .step = 1, .enabled = true},
                         .gradients = &store};
  const Site site = Site::kK;
  const Projection projection(store.acquire(block), block, site, pass);
  store.release(block);
  const at::Tensor x = at::randn({19, oracle.model.shape.hidden_size});
  const at::Tensor weight = base.at({block, site, Part::kWeight}), bias = base.at({block, site, Part::kBias});
  const at::Tensor a = adapter.at({block, site, Part::kLoraA}), b = adapter.at({block, site, Part::kLoraB});
  const at::Tensor m = adapter.at({block, site, Part::kLoraMagnitude});
  // The mask, and its factor, are what dropout makes of ones.
  const at::Tensor mask = ops::dropout(
      at::ones_like(x),
      {.seed = 3, .step = 1, .micro_batch = 0, .layer = 1, .site = static_cast<uint8_t>(site), .probability = 0.3});
  const at::Tensor norm = at::linalg_vector_norm(weight + 1.5 * at::mm(b, a), 2, at::IntArrayRef{1});
  const auto formula = [&](const std::vector<at::Tensor>& in) {
    const at::Tensor dropped = in[0] * mask, g = in[3] / norm;
    return at::linear(in[0], weight, bias) + (g - 1) * at::linear(dropped, weight) +
           g * at::linear(at::linear(dropped, in[1]), in[2]) * 1.5;
  };
  AdapterSaved saved;
  const at::Tensor y = projection.forward(x, &saved);
  EXPECT_LE(relative(y, formula({x, a, b, m})), 1e-6);
  const at::Tensor dy = at::randn_like(y);
  at::Tensor dx;
  projection.backward(dy, x, saved, &dx);
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : {x, a, b, m}) leaves.push_back(input.detach().clone().requires_grad_(true));
  const std::vector<at::Tensor> expected = torch::autograd::grad({formula(leaves)}, leaves, {dy});
  EXPECT_LE(relative(dx, expected[0]), 1e-6);
  EXPECT_LE(relative(store.gradients.at({block, site, Part::kLoraA}), expected[1]), 1e-6);
  EXPECT_LE(relative(store.gradients.at({block, site, Part::kLoraB}), expected[2]), 1e-6);
  EXPECT_LE(relative(store.gradients.at({block, site, Part::kLoraMagnitude}), expected[3]), 1e-6);
}

}  // namespace
}  // namespace lathe
