#include "engine/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lathe {
namespace {

at::Tensor to_tensor(const Json& values) {
  return at::tensor(values.get<std::vector<float>>(), at::kFloat);
}

std::vector<TrainableParameter> parameters_of(const Json& start) {
  std::vector<TrainableParameter> parameters(2);
  for (size_t i = 0; i < 2; ++i) {
    parameters[i].master.weight = to_tensor(start[i]);
    parameters[i].gradient = at::zeros_like(parameters[i].master.weight);
    parameters[i].decay = i == 0;
  }
  return parameters;
}

void expect_close(const at::Tensor& ours, const Json& theirs, double tolerance, const char* what) {
  const at::Tensor expected = to_tensor(theirs);
  const double error = (ours - expected).norm().item<double>() / std::max(1e-30, expected.norm().item<double>());
  EXPECT_LE(error, tolerance) << what;
}

// tests/oracle/optimizer.py: torch.optim.AdamW and clip_grad_norm_ of torch 2.11.0.
TEST(AdamW, FollowsTorchStepForStep) {
  size_t count = 0;
  for (const Json& one : read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/optimizer.json")) {
    if (one["optim"] != "adamw_torch") continue;
    ++count;
    std::vector<TrainableParameter> parameters = parameters_of(one["start"]);
    AdamW optimizer(parameters, {one["beta1"], one["beta2"], one["epsilon"], one["weight_decay"]});
    for (const Json& step : one["steps"]) {
      for (size_t i = 0; i < 2; ++i) parameters[i].gradient.copy_(to_tensor(step["gradients"][i]));
      const double norm = gradient_norm(parameters);
      EXPECT_NEAR(norm, step["norm"].get<double>(), 1e-6 * norm);
      optimizer.step(step["rate"], clip_coefficient(norm, one["max_norm"]));
      for (size_t i = 0; i < 2; ++i)
        expect_close(parameters[i].master.weight, step["parameters"][i], 3e-7, "parameters");
    }
    for (size_t i = 0; i < 2; ++i) {
      const std::vector<StateTensor> state = optimizer.state(i);
      ASSERT_EQ(state.size(), 2u);
      expect_close(state[0].read(0, parameters[i].gradient.numel()), one["state"][i]["exp_avg"], 3e-7, "exp_avg");
      expect_close(state[1].read(0, parameters[i].gradient.numel()), one["state"][i]["exp_avg_sq"], 3e-7, "exp_avg_sq");
    }
  }
  EXPECT_EQ(count, 3u);
}

TEST(AdamW, SaysWhichParameterIsAboutToChange) {
  std::vector<TrainableParameter> parameters = parameters_of(Json::parse("[[1, 2], [3, 4]]"));
  for (TrainableParameter& parameter : parameters) parameter.gradient.fill_(1);
  AdamW optimizer(parameters, {});
  std::vector<std::vector<bool>> seen;
  optimizer.step(1e-2, 1, [&](size_t index) {
    EXPECT_EQ(index, seen.size());
    const bool moments = optimizer.state(index)[0].tensor.any().item<bool>();
    seen.push_back({parameters[0].master.weight[0].item<float>() != 1,
                    parameters[1].master.weight[0].item<float>() != 3, moments});
  });
  EXPECT_EQ(seen, (std::vector<std::vector<bool>>{{false, false, false}, {true, false, false}}));
}

/// Updates a tenth of what lies between two bf16: rounded to nearest no weight would ever move, rounded by draws they
/// go as far as fp32 ones in the mean, within five standard deviations of that mean.
TEST(AdamW, TinyUpdatesOfWeightsWithoutAMasterGoAsFarAsExactOnes) {
  constexpr int64_t kCount = 1 << 16, kSteps = 40;
  constexpr double kRate = 0x1p-8 / 10;  // |update| is the rate: gradients are all alike; below 1 a bf16 step is 2^-8
  const auto trained = [](at::ScalarType type, uint64_t seed) {
    std::vector<TrainableParameter> parameters(1);
    parameters[0].master.weight = at::full({kCount}, 0.75, type);
    parameters[0].gradient = at::full({kCount}, 0.5);
    AdamW optimizer(parameters, {.rounding_seed = seed});
    for (int64_t step = 0; step < kSteps; ++step) optimizer.step(kRate);
    return parameters[0].master.weight;
  };
  const double exact = trained(at::kFloat, 0)[0].item<double>();
  EXPECT_NEAR(exact, 0.75 - kSteps * kRate, 1e-5);
  EXPECT_EQ((at::scalar_tensor(0.75 - kRate).to(at::kBFloat16)).item<double>(), 0.75);  // what nearest would do
  const at::Tensor drawn = trained(at::kBFloat16, 3);
  const at::Tensor values = drawn.to(at::kDouble);
  const double deviation = 0x1p-8 * std::sqrt(0.09 * kSteps / kCount);
  EXPECT_NEAR(values.mean().item<double>(), exact, 5 * deviation);
  EXPECT_NEAR(values.std().item<double>(), 0x1p-8 * std::sqrt(0.09 * kSteps), 0.05 * 0x1p-8);
  EXPECT_TRUE(at::equal(drawn, trained(at::kBFloat16, 3)));
  EXPECT_FALSE(at::equal(drawn, trained(at::kBFloat16, 4)));
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 3 : 1);
  EXPECT_TRUE(at::equal(drawn, trained(at::kBFloat16, 3)));
  at::set_num_threads(threads);
}

/// Two parameters of the same values, and two runs whose steps were counted on from a checkpoint.
TEST(AdamW, DrawsDependOnParameterAndStepAlone) {
  const auto two = [](int64_t steps_before) {
    std::vector<TrainableParameter> parameters(2);
    for (TrainableParameter& parameter : parameters) {
      parameter.master.weight = at::full({300}, 0.75, at::kBFloat16);
      parameter.gradient = at::full({300}, 0.5);
    }
    AdamW optimizer(parameters, {});
    optimizer.set_num_steps(steps_before);
    optimizer.step(0x1p-9);
    return std::pair{parameters[0].master.weight, parameters[1].master.weight};
  };
  EXPECT_FALSE(at::equal(two(0).first, two(0).second));
  EXPECT_TRUE(at::equal(two(7).first, two(7).first));
  EXPECT_FALSE(at::equal(two(7).first, two(8).first));
}

}  // namespace
}  // namespace lathe
