#pragma once
// Loss scaling for fp16: the loss is multiplied before backward so that small gradients do not vanish, and a step whose
// gradients overflow is left out and tried with a smaller scale.
#include <memory>
#include <string>

#include "base/json.h"

namespace lathe {

struct TrainingArguments;

class LossScaler {
 public:
  virtual ~LossScaler() = default;
  [[nodiscard]] double scale() const { return scale_; }
  /// After each step. @param overflow whether a gradient was not finite, so that the step was left out.
  /// @throws Error(kRun) when the scale cannot be made smaller.
  virtual void update(bool overflow) = 0;
  /// For checkpoints: everything that update depends on.
  [[nodiscard]] virtual Json state() const;  ///< null: there is none
  virtual void load(const Json& /*state*/) {}

 protected:
  explicit LossScaler(double scale) : scale_(scale) {}
  double scale_;
};

/// The scale stays: 1 where nothing is scaled, DeepSpeed's loss_scale above 0.
class StaticLossScaler final : public LossScaler {
 public:
  explicit StaticLossScaler(double scale) : LossScaler(scale) {}
  void update(bool /*overflow*/) override {}
};

/// DeepSpeed's fp16 block with loss_scale 0.
struct DynamicLossScaleOptions {
  int64_t initial_scale_power = 16, loss_scale_window = 1000, hysteresis = 2;
  bool consecutive_hysteresis = false;
  double min_loss_scale = 1;
};

/// DeepSpeed 0.19.8's DynamicLossScaler: halves on overflow once the hysteresis is used up, doubles after each window
/// without one, and gives up at the smallest scale.
class DynamicLossScaler final : public LossScaler {
 public:
  explicit DynamicLossScaler(const DynamicLossScaleOptions& options);
  void update(bool overflow) override;
  [[nodiscard]] Json state() const override;
  void load(const Json& state) override;

 private:
  DynamicLossScaleOptions options_;
  int64_t hysteresis_left_, iteration_ = 0, last_overflow_ = -1;
};

/// torch's GradScaler, which transformers uses without DeepSpeed: from 65536, halved on each overflow, doubled after
/// 2000 steps in a row without one.
class GradScaler final : public LossScaler {
 public:
  explicit GradScaler(double initial_scale = 65536, int64_t growth_interval = 2000)
      : LossScaler(initial_scale), growth_interval_(growth_interval) {}
  void update(bool overflow) override;
  [[nodiscard]] Json state() const override;
  void load(const Json& state) override;

 private:
  int64_t growth_interval_, growth_tracker_ = 0;
};

/// The scaler these settings ask for; one that stays at 1 where fp16 was not asked for.
/// @throws Error(kConfig) for values of the fp16 block that DeepSpeed does not take.
[[nodiscard]] std::unique_ptr<LossScaler> make_loss_scaler(const TrainingArguments& args);

}  // namespace lathe
