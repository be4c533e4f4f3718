#pragma once
// trainer_state.json with transformers' fields, and what a run sums up beside them.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/json.h"

namespace lathe {

struct TrainerState {
  double epoch = 0;
  int64_t global_step = 0, max_steps = 0;
  int64_t logging_steps = 500, eval_steps = 500, save_steps = 500;
  int64_t train_batch_size = 0, num_train_epochs = 0, num_input_tokens_seen = 0;
  double total_flos = 0;
  Json log_history = Json::array();
  std::optional<double> best_metric;
  std::optional<int64_t> best_global_step;
  std::optional<std::string> best_model_checkpoint;
};

[[nodiscard]] Json to_json(const TrainerState& state);
/// @throws Error(kData) naming the file.
[[nodiscard]] TrainerState read_trainer_state(const std::string& path);

/// What a resumed run needs besides, so that its logs go on as if nothing had happened.
struct RunTotals {
  double loss_since_log = 0;  ///< sum of the updates' losses since the last logged step
  double loss = 0;            ///< of all updates
  int64_t last_logged_step = 0;
  int64_t tokens = 0;          ///< real tokens seen
  int64_t trained_tokens = 0;  ///< targets among them
  int64_t rows = 0;
  int64_t evaluations_without_gain = 0;  ///< in a row, for early stopping
  int64_t skipped_steps = 0;             ///< whose gradients were not finite
  Json plateau;                          ///< of reduce_lr_on_plateau; null: none
  Json loss_scaler;                      ///< its state; null where nothing is scaled
  double runtime_s = 0;                  ///< of training until the save
  /// A stop came between a step and its evaluation: a resumed run makes up for it.
  bool evaluation_pending = false;
};

[[nodiscard]] Json to_json(const RunTotals& totals);
[[nodiscard]] RunTotals parse_run_totals(const Json& json, const std::string& file);

}  // namespace lathe
