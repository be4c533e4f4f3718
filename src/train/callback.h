#pragma once
// transformers' TrainerCallback: who watches a run without being part of it.
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/trainer_state.h"

namespace lathe {

struct TrainingArguments;

/// What a callback may look at.
struct RunView {
  const TrainingArguments& args;
  const TrainerState& state;
  const RunTotals& totals;
  double elapsed_s = 0;          ///< of training, earlier calls of a resumed run included
  double tokens_per_second = 0;  ///< real tokens, since this call's start
  int64_t memory_bytes = 0;      ///< peak of the ledger
  double loss = 0;               ///< of the last update
  int64_t first_step = 0;        ///< global_step at which this call began
};

class TrainerCallback {
 public:
  virtual ~TrainerCallback() = default;
  virtual void on_train_begin(const RunView&) {}
  virtual void on_step_end(const RunView&) {}
  /// @param logs as they stand in log_history, without `step`.
  virtual void on_log(const RunView&, const Json& /*logs*/) {}
  virtual void on_evaluate_begin(const RunView&, int64_t /*num_batches*/) {}
  virtual void on_prediction_step(const RunView&) {}
  virtual void on_evaluate(const RunView&, const Json& /*metrics*/) {}
  /// When a checkpoint is whole: some steps after the one it holds, for it is written while the run goes on.
  virtual void on_save(const RunView&, const std::string& /*folder*/) {}
  virtual void on_train_end(const RunView&) {}

  /// What has to be kept so that a resumed run's files go on where the checkpoint was made (sizes of logs).
  /// @param logs gets the paths of those files: they are synced before the checkpoint is put in place.
  virtual void save_state(Json& /*state*/, std::vector<std::string>& /*logs*/) {}
};

}  // namespace lathe
