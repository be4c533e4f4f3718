#include "engine/loss_scaler.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "config/training_arguments.h"

namespace lathe {
namespace {

constexpr double kFactor = 2;

[[noreturn]] void refuse(const char* key, const Json& value, const char* words) {
  throw Error(ErrorKind::kConfig,
              fmt::format("'fp16.{}' of the DeepSpeed configuration is {}, found {}", key, words, dump_json(value)),
              {.file = "", .line = 0, .key = "deepspeed"});
}

template <typename T>
T number(const Json& block, const char* key, T fallback, T low, const char* words) {
  if (!block.contains(key) || block[key].is_null() || block[key] == "auto") return fallback;
  const Json& value = block[key];
  if (std::is_integral_v<T> ? !value.is_number_integer() : !value.is_number()) refuse(key, value, words);
  const T result = value.get<T>();
  if (!(result >= low)) refuse(key, value, words);
  return result;
}

std::unique_ptr<LossScaler> deepspeed_scaler(const Json& block) {
  const double fixed = number(block, "loss_scale", 0.0, 0.0, "a number from 0");
  if (fixed > 0) return std::make_unique<StaticLossScaler>(fixed);
  DynamicLossScaleOptions options;
  constexpr const char* kWhole = "a whole number from 1";
  options.initial_scale_power =
      number<int64_t>(block, "initial_scale_power", options.initial_scale_power, 0, "a whole number from 0");
  options.loss_scale_window = number<int64_t>(block, "loss_scale_window", options.loss_scale_window, 1, kWhole);
  options.hysteresis = number<int64_t>(block, "hysteresis", options.hysteresis, 1, kWhole);
  options.min_loss_scale =
      number(block, "min_loss_scale", options.min_loss_scale, std::numeric_limits<double>::min(), "a number above 0");
  if (block.contains("consecutive_hysteresis")) {
    const Json& value = block["consecutive_hysteresis"];
    if (!value.is_boolean()) refuse("consecutive_hysteresis", value, "true or false");
    options.consecutive_hysteresis = value.get<bool>();
  }
  return std::make_unique<DynamicLossScaler>(options);
}

}  // namespace

Json LossScaler::state() const {
  return nullptr;
}

DynamicLossScaler::DynamicLossScaler(const DynamicLossScaleOptions& options)
    : LossScaler(std::pow(2.0, static_cast<double>(options.initial_scale_power))),
      options_(options),
      hysteresis_left_(options.hysteresis) {}

void DynamicLossScaler::update(bool overflow) {
  if (overflow) {
    if (options_.hysteresis == 1 || hysteresis_left_ == 1) {
      if (scale_ == options_.min_loss_scale) {
        throw Error(ErrorKind::kRun,
                    fmt::format("the gradients still overflow at the smallest loss scale, {:g}", scale_), {},
                    "use \"bf16\": true, or a smaller learning_rate; the weights before the overflow are untouched");
      }
      scale_ = std::max(scale_ / kFactor, options_.min_loss_scale);
    } else {
      --hysteresis_left_;
    }
    last_overflow_ = iteration_;
  } else {
    if (options_.consecutive_hysteresis) hysteresis_left_ = options_.hysteresis;
    const int64_t stable = iteration_ - last_overflow_ - 1;
    if (stable > 0 && stable % options_.loss_scale_window == 0) {
      if (!options_.consecutive_hysteresis) hysteresis_left_ = options_.hysteresis;
      scale_ *= kFactor;
    }
  }
  ++iteration_;
}

Json DynamicLossScaler::state() const {
  return {{"scale", scale_},
          {"hysteresis_left", hysteresis_left_},
          {"iteration", iteration_},
          {"last_overflow", last_overflow_}};
}

void DynamicLossScaler::load(const Json& state) {
  scale_ = state.at("scale").get<double>();
  hysteresis_left_ = state.at("hysteresis_left").get<int64_t>();
  iteration_ = state.at("iteration").get<int64_t>();
  last_overflow_ = state.at("last_overflow").get<int64_t>();
}

void GradScaler::update(bool overflow) {
  if (overflow) {
    scale_ /= kFactor;
    growth_tracker_ = 0;
  } else if (++growth_tracker_ == growth_interval_) {
    // A scale that fp32 cannot hold is not taken (amp_update_scale_).
    if (scale_ * kFactor <= static_cast<double>(std::numeric_limits<float>::max())) scale_ *= kFactor;
    growth_tracker_ = 0;
  }
}

Json GradScaler::state() const {
  return {{"scale", scale_}, {"growth_tracker", growth_tracker_}};
}

void GradScaler::load(const Json& state) {
  scale_ = state.at("scale").get<double>();
  growth_tracker_ = state.at("growth_tracker").get<int64_t>();
}

std::unique_ptr<LossScaler> make_loss_scaler(const TrainingArguments& args) {
  if (!args.fp16 && !args.fp16_in_bf16) return std::make_unique<StaticLossScaler>(1);
  if (args.deepspeed_config.empty()) return std::make_unique<GradScaler>();
  const Json json = parse_json(args.deepspeed_config, "deepspeed_config.json");
  return deepspeed_scaler(json.contains("fp16") && json["fp16"].is_object() ? json["fp16"] : Json::object());
}

}  // namespace lathe
