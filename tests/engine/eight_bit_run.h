#pragma once
// The run of tests/oracle/optimizer_8bit.py: three parameters, gradients that follow the weights, clipping.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/mt19937.h"
#include "engine/optimizer.h"

namespace lathe::eight_bit {

/// @param name "adamw", "lion": as bitsandbytes 0.50.2 computes them
inline Json read_oracle(const char* name) {
  return read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/optimizer_8bit.json")[name];
}

inline at::Tensor uniform(at::IntArrayRef sizes, uint32_t seed) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  Mt19937(seed).uniform(values.mutable_data_ptr<float>(), values.numel(), -1, 1);
  return values;
}

inline at::Tensor from_hex(const Json& text, const at::Tensor& like) {
  const auto digits = text.get<std::string>();
  at::Tensor values = at::empty_like(like);
  LATHE_ASSERT(digits.size() == 2 * values.nbytes());
  auto* bytes = static_cast<uint8_t*>(values.mutable_data_ptr());
  for (size_t i = 0; i < values.nbytes(); ++i) {
    bytes[i] = static_cast<uint8_t>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  }
  return values;
}

inline TrainableParameter parameter_of(at::IntArrayRef sizes, Site site, bool decay, uint32_t seed) {
  TrainableParameter parameter;
  parameter.id.site = site;
  parameter.master.weight = uniform(sizes, seed);
  parameter.gradient = at::zeros(sizes);
  parameter.decay = decay;
  return parameter;
}

/// An embedding, a matrix, and what is too small for 8 bits.
inline std::vector<TrainableParameter> start() {
  std::vector<TrainableParameter> parameters;
  parameters.push_back(parameter_of({70, 64}, Site::kEmbedTokens, true, 10));
  parameters.push_back(parameter_of({96, 50}, Site::kQ, true, 11));
  parameters.push_back(parameter_of({1000}, Site::kInputNorm, false, 12));
  return parameters;
}

inline void draw_gradients(std::vector<TrainableParameter>& parameters, int64_t step) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& weight = parameters[i].master.weight;
    const auto seed = static_cast<uint32_t>(1000 * i + static_cast<size_t>(step));
    parameters[i].gradient.copy_(weight * 0.05 + uniform(weight.sizes(), seed) * 0.1);
  }
}

inline void update(const Json& oracle, std::vector<TrainableParameter>& parameters, Optimizer& optimizer,
                   int64_t step) {
  draw_gradients(parameters, step);
  const double coefficient = clip_coefficient(gradient_norm(parameters), oracle["max_norm"]);
  optimizer.step(oracle["rate"].get<double>() * (1 - static_cast<double>(step) / 100), coefficient);
}

inline double distance(const at::Tensor& ours, const at::Tensor& theirs) {
  return ((ours - theirs).norm() / theirs.norm()).item<double>();
}

/// How far 50 updates lead from bitsandbytes' weights, for each parameter.
inline std::vector<double> follow(const Json& oracle, std::vector<TrainableParameter>& parameters,
                                  Optimizer& optimizer) {
  std::vector<double> distances(parameters.size());
  for (int64_t step = 1; step <= 50; ++step) {
    update(oracle, parameters, optimizer, step);
    for (const Json& theirs : oracle["steps"]) {
      if (theirs["step"] != step) continue;
      for (size_t i = 0; i < parameters.size(); ++i) {
        const at::Tensor& weight = parameters[i].master.weight;
        distances[i] = std::max(distances[i], distance(weight, from_hex(theirs["parameters"][i], weight)));
      }
    }
  }
  return distances;
}

/// Codes, scales and fp32 moments beside bitsandbytes': a weight that is one rounding off may tip a code.
inline void expect_state(const Json& oracle, Optimizer& optimizer) {
  const auto bits = oracle["bits"].get<std::vector<int64_t>>();
  for (size_t i = 0; i < bits.size(); ++i) {
    EXPECT_EQ(8 * static_cast<int64_t>(c10::elementSize(optimizer.state(i)[0].dtype)), bits[i]) << i;
  }
  const std::vector<StateTensor> state = optimizer.state(1);
  ASSERT_EQ(state.size(), oracle["state"].size());
  for (const StateTensor& one : state) {
    const at::Tensor theirs = from_hex(oracle["state"][one.suffix.substr(1)], one.tensor);
    if (one.dtype == at::kByte) {
      const at::Tensor apart = (one.tensor.to(at::kInt) - theirs.to(at::kInt)).abs();
      EXPECT_LE(apart.max().item<int>(), 1) << one.suffix;
      EXPECT_LE(apart.sum().item<int64_t>(), 10) << one.suffix;
    } else {
      EXPECT_LE(distance(one.tensor, theirs), 1e-5) << one.suffix;
    }
  }
}

/// Three updates on one thread and on three: the same weights and the same state.
template <typename Optimizer8bit, typename Options>
void expect_no_effect_of_threads(const Json& oracle, const Options& options) {
  std::vector<TrainableParameter> one(1), many(1);
  for (auto* parameters : {&one, &many}) (*parameters)[0] = parameter_of({300, 211}, Site::kUp, true, 4);
  Optimizer8bit alone(one, options), together(many, options);
  const int threads = at::get_num_threads();
  for (int64_t step = 1; step <= 3; ++step) {
    at::set_num_threads(1);
    update(oracle, one, alone, step);
    at::set_num_threads(3);
    update(oracle, many, together, step);
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one[0].master.weight, many[0].master.weight));
  const std::vector<StateTensor> ours = alone.state(0), theirs = together.state(0);
  for (size_t k = 0; k < ours.size(); ++k) EXPECT_TRUE(at::equal(ours[k].tensor, theirs[k].tensor)) << ours[k].suffix;
}

}  // namespace lathe::eight_bit
