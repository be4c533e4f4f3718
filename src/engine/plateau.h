#pragma once
// torch's ReduceLROnPlateau: a rate that falls when evaluations stop getting better. Unlike the other schedules it is
// fed and has a state.
#include <cstdint>

#include "base/json.h"

namespace lathe {

class PlateauSchedule {
 public:
  /// @param kwargs lr_scheduler_kwargs: mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps.
  /// @throws Error(kConfig) for an unknown one or a value torch does not take.
  PlateauSchedule(double learning_rate, const Json& kwargs);
  /// After each evaluation.
  void step(double metric);
  [[nodiscard]] double learning_rate() const { return rate_; }
  [[nodiscard]] Json state() const;  ///< for checkpoints
  void load(const Json& state);

 private:
  [[nodiscard]] bool is_better(double metric) const;

  bool maximum_ = false, relative_ = true;
  double factor_ = 0.1, threshold_ = 1e-4, min_rate_ = 0, eps_ = 1e-8;
  int64_t patience_ = 10, cooldown_ = 0;
  double rate_, best_;
  int64_t bad_evaluations_ = 0, cooling_ = 0;
};

}  // namespace lathe
