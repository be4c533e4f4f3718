#include "engine/schedule.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <vector>

#include "engine/plateau.h"
#include "engine/schedule_parts.h"

namespace lathe {
namespace {

constexpr double kPi = std::numbers::pi;

double half_cosine(double cycles, double progress) {
  return 0.5 * (1.0 + std::cos(kPi * cycles * 2.0 * progress));
}

Factor linear(Run run, Kwargs&) {
  return [run](double step) {
    if (step < run.warmup) return run.warm(step);
    return std::max(0.0, (run.total - step) / std::max(1.0, run.total - run.warmup));
  };
}

Factor cosine(Run run, Kwargs& kwargs) {
  const double cycles = kwargs.number("num_cycles").value_or(0.5);
  return [run, cycles](double step) {
    if (step < run.warmup) return run.warm(step);
    return std::max(0.0, half_cosine(cycles, run.progress(step)));
  };
}

Factor cosine_with_restarts(Run run, Kwargs& kwargs) {
  const double cycles = kwargs.number("num_cycles").value_or(1);
  return [run, cycles](double step) {
    if (step < run.warmup) return run.warm(step);
    const double progress = run.progress(step);
    if (progress >= 1.0) return 0.0;
    return std::max(0.0, 0.5 * (1.0 + std::cos(kPi * std::fmod(cycles * progress, 1.0))));
  };
}

Factor polynomial(Run run, Kwargs& kwargs) {
  const double end = kwargs.number("lr_end").value_or(1e-7), power = kwargs.number("power").value_or(1.0);
  const double start = run.learning_rate;
  if (!(start > end)) {
    Kwargs::fail(fmt::format("'lr_end' ({:g}) has to be below learning_rate ({:g})", end, start),
                 "give a smaller lr_end or a larger learning_rate");
  }
  return [run, end, power, start](double step) {
    if (step < run.warmup) return run.warm(step);
    if (step > run.total) return end / start;
    const double remaining = 1 - (step - run.warmup) / (run.total - run.warmup);
    return ((start - end) * std::pow(remaining, power) + end) / start;
  };
}

Factor constant(Run, Kwargs&) {
  return [](double) { return 1.0; };
}

Factor constant_with_warmup(Run run, Kwargs&) {
  return [run](double step) { return step < run.warmup ? run.warm(step) : 1.0; };
}

/// The rate it starts from; engine/plateau.h has the rest.
Factor reduce_lr_on_plateau(Run run, Kwargs& kwargs) {
  static_cast<void>(PlateauSchedule(run.learning_rate, kwargs.take_all()));
  return [](double) { return 1.0; };
}

Factor inverse_sqrt(Run run, Kwargs& kwargs) {
  const double timescale = kwargs.number("timescale").value_or(run.warmup > 0 ? run.warmup : 10000);
  return [run, timescale](double step) {
    if (step < run.warmup) return run.warm(step);
    return 1.0 / std::sqrt((step + (timescale - run.warmup)) / timescale);
  };
}

/// min_lr or min_lr_rate, exactly one of them.
double floor_rate(const Run& run, Kwargs& kwargs) {
  const auto rate = kwargs.number("min_lr");
  const auto share = kwargs.number("min_lr_rate");
  if (rate.has_value() == share.has_value()) {
    Kwargs::fail("this schedule needs one of 'min_lr' and 'min_lr_rate'", "give exactly one");
  }
  return rate ? *rate / run.learning_rate : *share;
}

Factor cosine_with_min_lr(Run run, Kwargs& kwargs) {
  const double cycles = kwargs.number("num_cycles").value_or(0.5), floor = floor_rate(run, kwargs);
  return [run, cycles, floor](double step) {
    if (step < run.warmup) return run.warm(step);
    return std::max(0.0, half_cosine(cycles, run.progress(step)) * (1 - floor) + floor);
  };
}

Factor cosine_warmup_with_min_lr(Run run, Kwargs& kwargs) {
  const double cycles = kwargs.number("num_cycles").value_or(0.5), floor = floor_rate(run, kwargs);
  const auto first = kwargs.number("warmup_lr_rate");
  return [run, cycles, floor, first](double step) {
    if (step < run.warmup) {
      if (!first) return (step + 1.0) / std::max(1.0, run.warmup);
      return *first + (1.0 - *first) * step / std::max(1.0, run.warmup - 1);
    }
    const double progress = (step - run.warmup + 1.0) / std::max(1.0, run.total - run.warmup);
    return std::max(0.0, half_cosine(cycles, progress) * (1 - floor) + floor);
  };
}

Factor warmup_stable_decay(Run run, Kwargs& kwargs) {
  const std::vector<std::string> shapes = {"linear", "cosine", "1-sqrt"};
  const auto decay = kwargs.number("num_decay_steps");
  if (!decay) Kwargs::fail("warmup_stable_decay needs 'num_decay_steps'", "give the number of steps of the last phase");
  const double stable = kwargs.number("num_stable_steps").value_or(run.total - run.warmup - *decay);
  const std::string rise = kwargs.choice("warmup_type", "linear", shapes);
  const std::string fall = kwargs.choice("decay_type", "cosine", shapes);
  const double floor = kwargs.number("min_lr_ratio").value_or(0), cycles = kwargs.number("num_cycles").value_or(0.5);
  return [=, decay_steps = *decay](double step) {
    if (step < run.warmup) {
      double factor = run.warm(step);
      if (rise == "cosine") factor = 0.5 * (1.0 - std::cos(kPi * factor));
      if (rise == "1-sqrt") factor = 1.0 - std::sqrt(1.0 - factor);
      return std::max(0.0, factor * (1.0 - floor) + floor);
    }
    if (step < run.warmup + stable) return 1.0;
    if (step >= run.warmup + stable + decay_steps) return floor;
    const double progress = (step - run.warmup - stable) / std::max(1.0, decay_steps);
    double factor = 1.0 - progress;
    if (fall == "cosine") factor = half_cosine(cycles, progress);
    if (fall == "1-sqrt") factor = 1.0 - std::sqrt(progress);
    return std::max(0.0, factor * (1.0 - floor) + floor);
  };
}

constexpr ScheduleKind kKinds[] = {
    {"linear", linear},
    {"cosine", cosine},
    {"cosine_with_restarts", cosine_with_restarts},
    {"polynomial", polynomial},
    {"constant", constant},
    {"constant_with_warmup", constant_with_warmup},
    {"inverse_sqrt", inverse_sqrt},
    {"reduce_lr_on_plateau", reduce_lr_on_plateau},
    {"cosine_with_min_lr", cosine_with_min_lr},
    {"cosine_warmup_with_min_lr", cosine_warmup_with_min_lr},
    {"warmup_stable_decay", warmup_stable_decay},
};

}  // namespace

struct LearningRateSchedule::Impl {
  double learning_rate = 0;
  Factor factor;
};

LearningRateSchedule::LearningRateSchedule(const std::string& type, double learning_rate, int64_t warmup_steps,
                                           int64_t total_steps, const Json& kwargs)
    : impl_(std::make_unique<Impl>()) {
  const Run run{learning_rate, static_cast<double>(warmup_steps), static_cast<double>(total_steps)};
  std::vector<ScheduleKind> kinds(std::begin(kKinds), std::end(kKinds));
  kinds.insert(kinds.end(), deepspeed_schedules().begin(), deepspeed_schedules().end());
  std::vector<std::string> names;
  for (const ScheduleKind& kind : kinds) {
    names.emplace_back(kind.name);
    if (type != kind.name) continue;
    Kwargs reader(kwargs, type);
    impl_->factor = kind.make(run, reader);
    reader.finish();
    impl_->learning_rate = kind.gives_rates ? 1.0 : learning_rate;
    return;
  }
  throw Error(ErrorKind::kConfig, fmt::format("'{}' is no learning-rate schedule", type),
              {.file = "", .line = 0, .key = "lr_scheduler_type"}, fmt::format("one of {}", fmt::join(names, ", ")));
}

double LearningRateSchedule::learning_rate(int64_t update) const {
  return impl_->learning_rate * impl_->factor(static_cast<double>(update));
}

LearningRateSchedule::~LearningRateSchedule() = default;
LearningRateSchedule::LearningRateSchedule(LearningRateSchedule&&) noexcept = default;

}  // namespace lathe
