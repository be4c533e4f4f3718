// Evaluation during training: Trainer::evaluate and what it decides.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "base/memory_ledger.h"
#include "base/signals.h"
#include "train/clock.h"
#include "train/trainer.h"

namespace lathe {

bool Trainer::can_evaluate() const {
  return parts_.eval_dataset != nullptr && !parts_.eval_dataset->samples.empty();
}

Json Trainer::evaluate() {
  const double start = now_s();
  const auto num_rows = static_cast<int64_t>(parts_.eval_dataset->samples.size());
  const auto batches = eval_batches(num_rows, args_.per_device_eval_batch_size);
  log::info("\n***** Running Evaluation *****\n  Num examples = {}\n  Batch size = {}", num_rows,
            args_.per_device_eval_batch_size);
  for (auto& callback : callbacks_) callback->on_evaluate_begin(view(), static_cast<int64_t>(batches.size()));
  const std::optional<double> loss = evaluation_loss(batches);
  if (!loss) return nullptr;
  const double runtime = now_s() - start;
  Json metrics = {{"eval_loss", *loss},
                  {"eval_runtime", rounded(runtime, 4)},
                  {"eval_samples_per_second", rounded(static_cast<double>(num_rows) / runtime, 3)},
                  {"eval_steps_per_second", rounded(static_cast<double>(batches.size()) / runtime, 3)}};
  log(metrics);
  metrics["epoch"] = state_.epoch;
  eval_metrics_ = metrics;
  if (plateau_) plateau_->step(metrics[best_metric_key()].get<double>());
  count_towards_early_stopping(metrics);
  remember_best(metrics);
  for (auto& callback : callbacks_) callback->on_evaluate(view(), metrics);
  return metrics;
}

std::optional<double> Trainer::evaluation_loss(const std::vector<std::vector<int64_t>>& batches) {
  // transformers 5.23: each batch's mean counts once a row; batches without a target have none and are left out.
  double weighted = 0, rows = 0;
  const auto saved = make_saved_activations();
  for (const std::vector<int64_t>& indices : batches) {
    if (take_save_request()) {
      totals_.evaluation_pending = true;
      save_checkpoint();
    }
    if ((stopped_by_ = stop_signal()) != 0 || (late_ = out_of_time())) return std::nullopt;
    const MemoryScope scope(MemoryClass::kActivations);
    const Batch batch = make_batch(*parts_.eval_dataset, indices);
    const int64_t targets = batch.num_targets();
    if (targets > 0) {
      const double sum = parts_.model.forward(batch, parts_.store, nullptr, *saved, 0, true, {});
      weighted += sum / static_cast<double>(targets) * static_cast<double>(indices.size());
      rows += static_cast<double>(indices.size());
    }
    for (auto& callback : callbacks_) callback->on_prediction_step(view());
  }
  const double loss = rows > 0 ? weighted / rows : std::nan("");
  if (!std::isfinite(loss)) log::warning("the evaluation loss at step {} is not finite", state_.global_step);
  return loss;
}

bool Trainer::is_better(double value) const {
  if (!std::isfinite(value)) return false;
  return !state_.best_metric || (args_.greater_is_better ? value > *state_.best_metric : value < *state_.best_metric);
}

/// transformers' EarlyStoppingCallback: it compares with the best evaluation before this one.
void Trainer::count_towards_early_stopping(const Json& metrics) {
  if (args_.early_stopping_patience == 0) return;
  const double value = metrics[best_metric_key()].get<double>();
  const bool gained = is_better(value) &&
                      (!state_.best_metric || std::abs(value - *state_.best_metric) > args_.early_stopping_threshold);
  totals_.evaluations_without_gain = gained ? 0 : totals_.evaluations_without_gain + 1;
  if (totals_.evaluations_without_gain < args_.early_stopping_patience) return;
  stops_early_ = true;
  log::info("Stopping early at step {}: {} evaluations in a row were no better than {:g}", state_.global_step,
            totals_.evaluations_without_gain, state_.best_metric.value_or(value));
}

std::string Trainer::best_metric_key() const {
  const std::string& key = args_.metric_for_best_model;
  return key.starts_with("eval_") ? key : "eval_" + key;
}

void Trainer::remember_best(const Json& metrics) {
  const double value = metrics[best_metric_key()].get<double>();
  best_is_new_ = is_better(value);
  if (!best_is_new_) return;
  state_.best_metric = value;
  if (args_.save_strategy != "no") state_.best_global_step = state_.global_step;
}

}  // namespace lathe
