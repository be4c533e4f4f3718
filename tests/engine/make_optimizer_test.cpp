// Every optimizer by its name, beside the one that transformers' Trainer makes for that name.
#include "engine/make_optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "config/optimizers.h"

namespace lathe {
namespace {

constexpr const char* kValues = LATHE_SOURCE_DIR "/tests/oracle/values/optimizer.json";

const std::vector<std::vector<int64_t>>& shapes() {
  static const std::vector<std::vector<int64_t>> all = {{3, 4}, {5}};
  return all;
}

at::Tensor to_tensor(const Json& values, at::IntArrayRef shape) {
  return at::tensor(values.get<std::vector<float>>(), at::kFloat).view(shape);
}

double distance(const at::Tensor& ours, const at::Tensor& expected) {
  return (ours - expected).norm().item<double>() / std::max(1e-30, expected.norm().item<double>());
}

/// "adam" is what a DeepSpeed block can ask for.
TrainingArguments arguments_of(const std::string& optim, const std::string& optim_args) {
  TrainingArguments args;
  args.adam_decays_gradient = optim == "adam";
  args.optim = args.adam_decays_gradient ? "adamw_torch" : optim;
  args.optim_args = optim_args;
  return args;
}

TrainingArguments arguments_of(const Json& one) {
  TrainingArguments args =
      arguments_of(one["optim"], one["optim_args"].is_null() ? "" : one["optim_args"].get<std::string>());
  args.adam_beta1 = one["beta1"], args.adam_beta2 = one["beta2"], args.adam_epsilon = one["epsilon"];
  args.weight_decay = one["weight_decay"];
  return args;
}

std::string name_of(const Json& one) {
  return one["optim"].dump() + " " + one["optim_args"].dump() + " decay " + one["weight_decay"].dump();
}

/// One case's parameters on their way, by an optimizer of these arguments.
class Replay {
 public:
  Replay(const Json& one, const TrainingArguments& args) : case_(one), parameters_(2) {
    for (size_t i = 0; i < 2; ++i) {
      parameters_[i].master.weight = to_tensor(one["start"][i], shapes()[i]);
      parameters_[i].gradient = at::zeros(shapes()[i]);
      parameters_[i].decay = i == 0;
    }
    optimizer_ = make_optimizer(args, parameters_);
  }

  /// How far the parameters are from theirs after a step, at most.
  double run() {
    double worst = 0;
    for (const Json& step : case_["steps"]) {
      for (size_t i = 0; i < 2; ++i) parameters_[i].gradient.copy_(to_tensor(step["gradients"][i], shapes()[i]));
      optimizer_->step(step["rate"], clip_coefficient(gradient_norm(parameters_), case_["max_norm"]));
      for (size_t i = 0; i < 2; ++i) {
        const at::Tensor theirs = to_tensor(step["parameters"][i], shapes()[i]);
        worst = std::max(worst, distance(parameters_[i].master.weight, theirs));
      }
    }
    return worst;
  }

  void expect_their_state() {
    for (size_t i = 0; i < 2; ++i) {
      const std::vector<StateTensor> state = optimizer_->state(i);
      EXPECT_EQ(state.size(), case_["state"][i].size());
      for (const StateTensor& one : state) {
        const at::Tensor theirs = to_tensor(case_["state"][i].at(one.suffix.substr(1)), one.sizes);
        EXPECT_LE(distance(one.tensor, theirs), 5e-7) << one.suffix;
      }
    }
  }

 private:
  const Json& case_;
  std::vector<TrainableParameter> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
};

// tests/oracle/optimizer.py: what transformers 5.23.0 makes of the names, from torch 2.11.0 and bitsandbytes 0.50.2.
TEST(MakeOptimizer, FollowsTheTrainersStepForStep) {
  const Json cases = read_json_file(kValues);
  ASSERT_EQ(cases.size(), 41u);
  for (const Json& one : cases) {
    SCOPED_TRACE(name_of(one));
    Replay replay(one, arguments_of(one));
    EXPECT_LE(replay.run(), 3e-7);
    replay.expect_their_state();
  }
}

TEST(MakeOptimizer, TheBoundTellsThemApart) {
  const auto kind_of = [](const TrainingArguments& args) { return optimizer_settings(args).kind; };
  for (const Json& one : read_json_file(kValues)) {
    SCOPED_TRACE(name_of(one));
    const TrainingArguments args = arguments_of(one);
    if (args.weight_decay > 0) {
      TrainingArguments plain = args;
      plain.weight_decay = 0;
      EXPECT_GT(Replay(one, plain).run(), 1e-5);
    }
    if (!args.optim_args->empty()) {
      TrainingArguments plain = args;
      plain.optim_args.reset();
      EXPECT_GT(Replay(one, plain).run(), 1e-5);
    }
    for (const char* other : {"adamw_torch", "sgd", "adagrad", "rmsprop", "adafactor", "lion_32bit", "adam"}) {
      TrainingArguments changed = arguments_of(other, "");
      changed.weight_decay = args.weight_decay;
      const bool both_adam = kind_of(changed) <= OptimizerKind::kAdam && kind_of(args) <= OptimizerKind::kAdam;
      if (kind_of(changed) == kind_of(args) || (both_adam && args.weight_decay == 0)) continue;
      EXPECT_GT(Replay(one, changed).run(), 1e-5) << other;
    }
  }
}

struct Named {
  const char* name;
  const char* optim;
  const char* optim_args = "";
};

void PrintTo(const Named& one, std::ostream* out) {
  *out << one.name;
}

/// Two matrices and a vector, more elements than one piece of work.
class EveryOptimizer : public ::testing::TestWithParam<Named> {
 protected:
  static std::vector<TrainableParameter> fp32_parameters() {
    at::manual_seed(3);
    std::vector<TrainableParameter> parameters(3);
    const std::vector<std::vector<int64_t>> sizes = {{301, 67}, {5, 1000}, {4099}};
    for (size_t i = 0; i < 3; ++i) {
      parameters[i].master.weight = at::randn(sizes[i]);
      parameters[i].decay = i != 2;
    }
    return parameters;
  }
  static std::unique_ptr<Optimizer> make(std::vector<TrainableParameter>& parameters) {
    TrainingArguments args = arguments_of(GetParam().optim, GetParam().optim_args);
    args.weight_decay = 0.1;
    return make_optimizer(args, parameters);
  }
  /// Gradients of this step, representable in bf16, into fp32 or bf16 tensors; then the step.
  static void step(Optimizer& optimizer, std::vector<TrainableParameter>& parameters, int64_t number,
                   at::ScalarType type = at::kFloat) {
    at::manual_seed(static_cast<uint64_t>(100 + number));
    for (TrainableParameter& parameter : parameters) {
      parameter.gradient = at::randn(parameter.master.weight.sizes()).to(at::kBFloat16).to(type);
    }
    optimizer.step(1e-3 * static_cast<double>(number), 0.7);
  }
};

TEST_P(EveryOptimizer, SplitMastersAndNarrowGradientsGiveTheSameBits) {
  std::vector<TrainableParameter> wide = fp32_parameters(), split = fp32_parameters();
  for (TrainableParameter& parameter : split) {
    const at::Tensor values = parameter.master.weight;
    parameter.master = {at::zeros_like(values, at::kBFloat16), at::zeros_like(values, at::kShort)};
    ops::assign_master(parameter.master, values);
  }
  const auto ours = make(wide), other = make(split);
  for (int64_t number = 1; number <= 4; ++number) {
    step(*ours, wide, number);
    step(*other, split, number, at::kBFloat16);
  }
  for (size_t i = 0; i < wide.size(); ++i) {
    const int64_t count = wide[i].master.weight.numel();
    const at::Tensor theirs = ops::read_master(split[i].master, 0, count);
    const at::Tensor differ = wide[i].master.weight.view({-1}) != theirs;
    EXPECT_LE(differ.sum().item<int64_t>(), 2 + count / 5000);  // a half cannot hold one value in 131,072
    EXPECT_TRUE(at::allclose(wide[i].master.weight.view({-1}), theirs, 1e-6, 1e-8));
    EXPECT_TRUE(at::equal(split[i].master.weight.view({-1}), theirs.to(at::kBFloat16)));
  }
}

TEST_P(EveryOptimizer, AnyNumberOfThreadsGivesTheSameBits) {
  const int before = at::get_num_threads();
  std::vector<std::vector<TrainableParameter>> results;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    std::vector<TrainableParameter> parameters = fp32_parameters();
    const auto optimizer = make(parameters);
    for (int64_t number = 1; number <= 3; ++number) step(*optimizer, parameters, number);
    results.push_back(std::move(parameters));
  }
  at::set_num_threads(before);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(results[0][i].master.weight, results[1][i].master.weight));
    EXPECT_TRUE(at::equal(results[0][i].master.weight, results[2][i].master.weight));
  }
}

TEST_P(EveryOptimizer, GoesOnFromItsStateWithTheSameBits) {
  std::vector<TrainableParameter> whole = fp32_parameters(), resumed = fp32_parameters();
  const auto first = make(whole);
  for (int64_t number = 1; number <= 3; ++number) step(*first, whole, number);
  const auto second = make(resumed);
  for (size_t i = 0; i < whole.size(); ++i) {
    ops::assign_master(resumed[i].master, whole[i].master.weight);
    const std::vector<StateTensor> from = first->state(i), to = second->state(i);
    ASSERT_EQ(from.size(), to.size());
    for (size_t k = 0; k < from.size(); ++k) {
      EXPECT_EQ(from[k].suffix, to[k].suffix);
      EXPECT_EQ(from[k].sizes, to[k].sizes);
      to[k].write(from[k].read(0, c10::multiply_integers(from[k].sizes)).view(from[k].sizes).clone());
    }
  }
  second->set_num_steps(first->num_steps());
  for (int64_t number = 4; number <= 6; ++number) {
    step(*first, whole, number);
    step(*second, resumed, number);
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_TRUE(at::equal(whole[i].master.weight, resumed[i].master.weight));
  }
}

TEST_P(EveryOptimizer, SaysWhichParameterIsAboutToChange) {
  std::vector<TrainableParameter> parameters = fp32_parameters();
  const std::vector<TrainableParameter> before = fp32_parameters();
  for (TrainableParameter& parameter : parameters) parameter.gradient = at::ones_like(parameter.master.weight);
  const auto optimizer = make(parameters);
  size_t calls = 0;
  optimizer->step(1e-2, 1, [&](size_t index) {
    EXPECT_EQ(index, calls++);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(at::equal(parameters[i].master.weight, before[i].master.weight), i >= index) << i;
    }
  });
  EXPECT_EQ(calls, 3u);
}

INSTANTIATE_TEST_SUITE_P(Names, EveryOptimizer,
                         ::testing::Values(Named{"adamw", "adamw_torch"}, Named{"adam", "adam"}, Named{"sgd", "sgd"},
                                           Named{"sgd_momentum", "sgd", "momentum=0.9, dampening=0.1"},
                                           Named{"adagrad", "adagrad", "lr_decay=0.01"},
                                           Named{"rmsprop", "rmsprop", "centered=true, momentum=0.9"},
                                           Named{"adafactor", "adafactor"}, Named{"lion", "lion_32bit"},
                                           Named{"ademamix", "ademamix", "t_alpha=5, t_beta3=3"}),
                         [](const auto& one) { return one.param.name; });

/// Rows and columns have the same part in it: a transposed matrix takes the transposed step.
TEST(Adafactor, TransposedMatricesTakeTransposedSteps) {
  at::manual_seed(5);
  std::vector<TrainableParameter> parameters(2);
  const at::Tensor weight = at::randn({7, 600}), gradient = at::randn({7, 600});
  parameters[0].master.weight = weight.clone(), parameters[0].gradient = gradient.clone();
  parameters[1].master.weight = weight.t().contiguous(), parameters[1].gradient = gradient.t().contiguous();
  const auto optimizer = make_optimizer(arguments_of("adafactor", ""), parameters);
  for (int step = 0; step < 3; ++step) optimizer->step(1e-2);
  EXPECT_LE(distance(parameters[1].master.weight.t(), parameters[0].master.weight), 1e-6);
  EXPECT_GT(distance(weight, parameters[0].master.weight), 1e-3);
}

/// peft's create_loraplus_optimizer: B and vectors at ratio times the rate, A at the rate, with a decay of its own.
TEST(LoraPlus, RatesAndDecayAreThoseOfPeftsGroups) {
  TrainingArguments args = arguments_of("sgd", "");
  args.use_lora = true, args.loraplus_lr_ratio = 16, args.weight_decay = 0.5, args.loraplus_weight_decay = 0.25;
  std::vector<TrainableParameter> parameters(2);
  for (TrainableParameter& parameter : parameters) {
    parameter.master.weight = at::ones({2, 3}), parameter.gradient = at::ones({2, 3});
  }
  parameters[0].id.part = Part::kLoraA, parameters[1].id.part = Part::kLoraB;
  const auto optimizer = make_optimizer(args, parameters);
  optimizer->step(0.01);
  EXPECT_TRUE(at::allclose(parameters[0].master.weight, at::full({2, 3}, 1 - 0.01 * 1.25)));
  EXPECT_TRUE(at::allclose(parameters[1].master.weight, at::full({2, 3}, 1 - 0.16 * 1.25)));
}

}  // namespace
}  // namespace lathe
