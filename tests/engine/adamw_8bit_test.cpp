#include "engine/adamw_8bit.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mt19937.h"

namespace lathe {
namespace {

const Json& oracle() {
  static const Json all = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/optimizer_8bit.json");
  return all["run"];
}

at::Tensor uniform(at::IntArrayRef sizes, uint32_t seed) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  Mt19937(seed).uniform(values.mutable_data_ptr<float>(), values.numel(), -1, 1);
  return values;
}

at::Tensor from_hex(const Json& text, const at::Tensor& like) {
  const auto digits = text.get<std::string>();
  at::Tensor values = at::empty_like(like);
  LATHE_ASSERT(digits.size() == 2 * values.nbytes());
  auto* bytes = static_cast<uint8_t*>(values.mutable_data_ptr());
  for (size_t i = 0; i < values.nbytes(); ++i) {
    bytes[i] = static_cast<uint8_t>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  }
  return values;
}

TrainableParameter parameter_of(at::IntArrayRef sizes, Site site, bool decay, uint32_t seed) {
  TrainableParameter parameter;
  parameter.id.site = site;
  parameter.master.weight = uniform(sizes, seed);
  parameter.gradient = at::zeros(sizes);
  parameter.decay = decay;
  return parameter;
}

/// An embedding, a matrix, and what is too small for 8 bits.
std::vector<TrainableParameter> start() {
  std::vector<TrainableParameter> parameters;
  parameters.push_back(parameter_of({70, 64}, Site::kEmbedTokens, true, 10));
  parameters.push_back(parameter_of({96, 50}, Site::kQ, true, 11));
  parameters.push_back(parameter_of({1000}, Site::kInputNorm, false, 12));
  return parameters;
}

void draw_gradients(std::vector<TrainableParameter>& parameters, int64_t step) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& weight = parameters[i].master.weight;
    const auto seed = static_cast<uint32_t>(1000 * i + static_cast<size_t>(step));
    parameters[i].gradient.copy_(weight * 0.05 + uniform(weight.sizes(), seed) * 0.1);
  }
}

AdamWOptions options() {
  return {oracle()["beta1"], oracle()["beta2"], oracle()["epsilon"], oracle()["weight_decay"]};
}

void update(std::vector<TrainableParameter>& parameters, Optimizer& optimizer, int64_t step) {
  draw_gradients(parameters, step);
  const double coefficient = clip_coefficient(gradient_norm(parameters), oracle()["max_norm"]);
  optimizer.step(1e-2 * (1 - static_cast<double>(step) / 100), coefficient);
}

double distance(const at::Tensor& ours, const at::Tensor& theirs) {
  return ((ours - theirs).norm() / theirs.norm()).item<double>();
}

/// How far 50 updates lead from bitsandbytes' weights, for each parameter.
std::vector<double> follow(std::vector<TrainableParameter>& parameters, Optimizer& optimizer) {
  std::vector<double> distances(parameters.size());
  for (int64_t step = 1; step <= 50; ++step) {
    update(parameters, optimizer, step);
    for (const Json& theirs : oracle()["steps"]) {
      if (theirs["step"] != step) continue;
      for (size_t i = 0; i < parameters.size(); ++i) {
        const at::Tensor& weight = parameters[i].master.weight;
        distances[i] = std::max(distances[i], distance(weight, from_hex(theirs["parameters"][i], weight)));
      }
    }
  }
  return distances;
}

// tests/oracle/optimizer_8bit.py: bitsandbytes 0.50.2. Gradients follow the weights, so that a difference grows.
TEST(AdamW8bit, FollowsBitsandbytesForFiftyUpdates) {
  std::vector<TrainableParameter> parameters = start();
  AdamW8bit optimizer(parameters, options());
  const std::vector<double> distances = follow(parameters, optimizer);
  const auto noise = oracle()["noise"].get<std::vector<double>>();
  for (size_t i = 0; i < parameters.size(); ++i) EXPECT_LE(distances[i], 3 * noise[i]) << i;
  // Fp32 moments give the same only where bitsandbytes has such: in the embedding, and where there is little.
  std::vector<TrainableParameter> others = start();
  AdamW plain(others, options());
  const std::vector<double> of_fp32 = follow(others, plain);
  EXPECT_LE(of_fp32[0], 3 * noise[0]);
  EXPECT_GE(of_fp32[1], 10 * noise[1]);
  EXPECT_LE(of_fp32[2], 3 * noise[2]);
}

TEST(AdamW8bit, HasTheStateOfBitsandbytes) {
  std::vector<TrainableParameter> parameters = start();
  AdamW8bit optimizer(parameters, options());
  (void)follow(parameters, optimizer);
  const auto bits = oracle()["bits"].get<std::vector<int64_t>>();
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_EQ(8 * static_cast<int64_t>(c10::elementSize(optimizer.state(i)[0].dtype)), bits[i]) << i;
  }
  // A weight that is one rounding off may put a moment on the other side of a bound.
  const std::vector<StateTensor> state = optimizer.state(1);
  ASSERT_EQ(state.size(), 4u);
  for (size_t k = 0; k < 4; ++k) {
    const std::string& suffix = state[k].suffix;
    const at::Tensor theirs = from_hex(oracle()["state"][suffix.substr(1)], state[k].tensor);
    if (k < 2) {
      const at::Tensor apart = (state[k].tensor.to(at::kInt) - theirs.to(at::kInt)).abs();
      EXPECT_LE(apart.max().item<int>(), 1) << suffix;
      EXPECT_LE(apart.sum().item<int64_t>(), 10) << suffix;
    } else {
      EXPECT_LE(distance(state[k].tensor, theirs), 1e-5) << suffix;
    }
  }
}

TEST(AdamW8bit, GoesOnFromItsStateByteForByte) {
  std::vector<TrainableParameter> whole = start(), half = start();
  AdamW8bit first(whole, options());
  for (int64_t step = 1; step <= 6; ++step) update(whole, first, step);
  {
    AdamW8bit before(half, options());
    for (int64_t step = 1; step <= 3; ++step) update(half, before, step);
    AdamW8bit resumed(half, options());
    resumed.set_num_steps(before.num_steps());
    for (size_t i = 0; i < half.size(); ++i) {
      const std::vector<StateTensor> from = before.state(i), to = resumed.state(i);
      ASSERT_EQ(from.size(), to.size());
      for (size_t k = 0; k < from.size(); ++k) {
        EXPECT_EQ(from[k].suffix.rfind('.'), 0u) << "a checkpoint finds a tensor's owner by its last dot";
        to[k].write(from[k].tensor);
      }
    }
    for (int64_t step = 4; step <= 6; ++step) update(half, resumed, step);
    for (size_t i = 0; i < half.size(); ++i) {
      EXPECT_TRUE(at::equal(half[i].master.weight, whole[i].master.weight)) << i;
      const std::vector<StateTensor> ours = resumed.state(i), theirs = first.state(i);
      for (size_t k = 0; k < ours.size(); ++k) EXPECT_TRUE(at::equal(ours[k].tensor, theirs[k].tensor)) << i;
    }
  }
}

TEST(AdamW8bit, ResultsDoNotDependOnThreads) {
  std::vector<TrainableParameter> one(1), many(1);
  for (auto* parameters : {&one, &many}) (*parameters)[0] = parameter_of({300, 211}, Site::kUp, true, 4);
  AdamW8bit alone(one, options()), together(many, options());
  const int threads = at::get_num_threads();
  for (int64_t step = 1; step <= 3; ++step) {
    at::set_num_threads(1);
    update(one, alone, step);
    at::set_num_threads(3);
    update(many, together, step);
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one[0].master.weight, many[0].master.weight));
  EXPECT_TRUE(at::equal(alone.state(0)[2].tensor, together.state(0)[2].tensor));
}

}  // namespace
}  // namespace lathe
