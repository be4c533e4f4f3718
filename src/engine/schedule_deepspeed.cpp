// DeepSpeed's learning-rate schedules (deepspeed/runtime/lr_schedules.py). They give rates, not factors. Their counter
// starts at -1 and is read before each update, so update u uses what they say of batch u - 1.
#include <cmath>
#include <numbers>

#include "engine/schedule_parts.h"

namespace lathe {
namespace {

/// The rise over warmup_num_steps, from 0 to 1; from there on 1.
struct Rise {
  double steps;
  bool logarithmic;
  [[nodiscard]] double operator()(double batch) const {
    if (batch >= steps) return 1.0;
    return logarithmic ? 1.0 / std::log(steps) * std::log(batch + 1) : batch / steps;
  }
};

Rise read_rise(const Run& run, Kwargs& kwargs) {
  const double steps = std::max(2.0, kwargs.number("warmup_num_steps").value_or(run.warmup));
  return {steps, kwargs.choice("warmup_type", "log", {"log", "linear"}) == "log"};
}

double read_total(const Run& run, Kwargs& kwargs) {
  return kwargs.number("total_num_steps").value_or(run.total);
}

/// Before the first batch the schedule stands at its lowest rate.
Factor warmup_lr(Run run, Kwargs& kwargs) {
  const double low = kwargs.number("warmup_min_lr").value_or(0);
  const double high = kwargs.number("warmup_max_lr").value_or(run.learning_rate);
  const Rise rise = read_rise(run, kwargs);
  return [=](double step) { return step < 1 ? low : low + (high - low) * rise(step - 1); };
}

Factor warmup_decay_lr(Run run, Kwargs& kwargs) {
  const double low = kwargs.number("warmup_min_lr").value_or(0);
  const double high = kwargs.number("warmup_max_lr").value_or(run.learning_rate);
  const double total = read_total(run, kwargs);
  const Rise rise = read_rise(run, kwargs);
  return [=](double step) {
    const double batch = step - 1;
    if (batch < 0) return low;
    const double left = std::max(0.0, (total - batch) / std::max(1.0, total - rise.steps));
    return low + (high - low) * (batch < rise.steps ? rise(batch) : left);
  };
}

Factor warmup_cosine_lr(Run run, Kwargs& kwargs) {
  const double low = kwargs.number("warmup_min_ratio").value_or(0);
  const double floor = kwargs.number("cos_min_ratio").value_or(0.0001);
  const double total = read_total(run, kwargs);
  const Rise rise = read_rise(run, kwargs);
  return [=](double step) {
    const double batch = step - 1;
    if (batch < 0) return 0.0;
    if (batch < rise.steps) return run.learning_rate * (low + rise(batch) * (1.0 - low));
    const double progress = std::min(1.0, (batch - rise.steps + 1) / std::max(1.0, total - rise.steps));
    const double cosine = (1 + std::cos(std::numbers::pi * progress)) / 2;
    return run.learning_rate * std::max(0.0, floor + (1.0 - floor) * cosine);
  };
}

/// One triangle (Smith 2018), then a decay; stairs hold the rate flat over parts of a half.
struct Cycle {
  double first, second, first_stairs, second_stairs;
  [[nodiscard]] double height(double batch) const {
    const double total = first + second, share = first / total;
    const double x = 1.0 + batch / total - std::floor(1 + batch / total);
    const bool rising = x <= share;
    const double stairs = rising ? first_stairs : second_stairs;
    if (stairs <= 0) return rising ? x / share : (x - 1) / (share - 1);
    const double within = std::fmod(batch, total);
    const double stair = within <= first ? within * stairs / first : (total - within) * stairs / second;
    return std::floor(stair) / stairs;
  }
};

Factor one_cycle(Run, Kwargs& kwargs) {
  const auto low = kwargs.number("cycle_min_lr");
  const auto high = kwargs.number("cycle_max_lr");
  if (!low || !high) Kwargs::fail("OneCycle needs 'cycle_min_lr' and 'cycle_max_lr'", "give both");
  Cycle cycle{};
  cycle.first = kwargs.number("cycle_first_step_size").value_or(2000);
  cycle.second = kwargs.number("cycle_second_step_size").value_or(cycle.first);
  if (cycle.first <= 0 || cycle.second < 0) Kwargs::fail("the halves of OneCycle's cycle have to be positive", "");
  cycle.first_stairs = kwargs.number("cycle_first_stair_count").value_or(0);
  cycle.second_stairs = kwargs.number("cycle_second_stair_count").value_or(cycle.first_stairs);
  const double decay = kwargs.number("decay_lr_rate").value_or(0);
  const double decay_steps = kwargs.number("decay_step_size").value_or(0);
  return [=, low = *low, high = *high](double step) {
    const double batch = step - 1;
    if (batch < 0) return low;
    const double total = cycle.first + cycle.second;
    if (batch < total) return low + (high - low) * cycle.height(batch + 1);
    if (decay == 0 || decay_steps == 0) return low;
    return low / (1 + decay * ((batch - total + 1) / decay_steps));
  };
}

Factor lr_range_test(Run, Kwargs& kwargs) {
  const double low = kwargs.number("lr_range_test_min_lr").value_or(1e-3);
  const double steps = kwargs.number("lr_range_test_step_size").value_or(2000);
  const double rate = kwargs.number("lr_range_test_step_rate").value_or(1.0);
  const bool stairs = kwargs.flag("lr_range_test_staircase");
  if (steps <= 0) Kwargs::fail("'lr_range_test_step_size' has to be positive", "");
  return [=](double step) {
    const double interval = step / steps;
    return low * (1 + rate * (stairs ? std::floor(interval) : interval));
  };
}

}  // namespace

const std::vector<ScheduleKind>& deepspeed_schedules() {
  static const std::vector<ScheduleKind> kinds = {{"WarmupLR", warmup_lr, true},
                                                  {"WarmupDecayLR", warmup_decay_lr, true},
                                                  {"WarmupCosineLR", warmup_cosine_lr, true},
                                                  {"OneCycle", one_cycle, true},
                                                  {"LRRangeTest", lr_range_test, true}};
  return kinds;
}

}  // namespace lathe
