#include "engine/plateau.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/schedule_parts.h"

namespace lathe {

PlateauSchedule::PlateauSchedule(double learning_rate, const Json& kwargs) : rate_(learning_rate) {
  Kwargs reader(kwargs, "reduce_lr_on_plateau");
  maximum_ = reader.choice("mode", "min", {"min", "max"}) == "max";
  relative_ = reader.choice("threshold_mode", "rel", {"rel", "abs"}) == "rel";
  factor_ = reader.number("factor").value_or(factor_);
  threshold_ = reader.number("threshold").value_or(threshold_);
  min_rate_ = reader.number("min_lr").value_or(min_rate_);
  eps_ = reader.number("eps").value_or(eps_);
  patience_ = static_cast<int64_t>(reader.number("patience").value_or(static_cast<double>(patience_)));
  cooldown_ = static_cast<int64_t>(reader.number("cooldown").value_or(static_cast<double>(cooldown_)));
  reader.finish();
  if (factor_ >= 1) Kwargs::fail(fmt::format("'factor' ({:g}) has to be below 1", factor_), "0.1 is torch's own");
  best_ = maximum_ ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
}

bool PlateauSchedule::is_better(double metric) const {
  if (maximum_) return metric > (relative_ ? best_ * (1 + threshold_) : best_ + threshold_);
  return metric < (relative_ ? best_ * (1 - threshold_) : best_ - threshold_);
}

void PlateauSchedule::step(double metric) {
  if (is_better(metric)) {
    best_ = metric;
    bad_evaluations_ = 0;
  } else {
    ++bad_evaluations_;
  }
  if (cooling_ > 0) {
    --cooling_;
    bad_evaluations_ = 0;
  }
  if (bad_evaluations_ <= patience_) return;
  const double lower = std::max(rate_ * factor_, min_rate_);
  if (rate_ - lower > eps_) rate_ = lower;
  cooling_ = cooldown_;
  bad_evaluations_ = 0;
}

Json PlateauSchedule::state() const {
  // JSON has no infinity: no evaluation yet is null.
  return {{"learning_rate", rate_},
          {"best", std::isfinite(best_) ? Json(best_) : Json(nullptr)},
          {"bad_evaluations", bad_evaluations_},
          {"cooling", cooling_}};
}

void PlateauSchedule::load(const Json& state) {
  rate_ = state.at("learning_rate").get<double>();
  if (!state.at("best").is_null()) best_ = state.at("best").get<double>();
  bad_evaluations_ = state.at("bad_evaluations").get<int64_t>();
  cooling_ = state.at("cooling").get<int64_t>();
}

}  // namespace lathe
