#pragma once
// Learning-rate schedules, transformers' and DeepSpeed's names and values.
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/json.h"

namespace lathe {

/// A pure function of the update's index: nothing to save or to restore.
class LearningRateSchedule {
 public:
  /// @param kwargs lr_scheduler_kwargs as transformers takes them (num_cycles, lr_end, power, min_lr, num_decay_steps
  /// …).
  /// @throws Error(kConfig) for an unknown name or kwarg.
  LearningRateSchedule(const std::string& type, double learning_rate, int64_t warmup_steps, int64_t total_steps,
                       const Json& kwargs);
  /// @param update 0-based: the rate that update uses. In double, same rounding as Python.
  [[nodiscard]] double learning_rate(int64_t update) const;
  ~LearningRateSchedule();
  LearningRateSchedule(LearningRateSchedule&&) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lathe
