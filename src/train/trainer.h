#pragma once
// transformers' Trainer, its names and its meaning.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/training_arguments.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "data/update_queue.h"
#include "engine/loss_scaler.h"
#include "engine/optimizer.h"
#include "engine/plateau.h"
#include "engine/schedule.h"
#include "engine/trainable.h"
#include "model/causal_lm.h"
#include "train/accelerator.h"
#include "train/callback.h"
#include "train/checkpoint.h"
#include "train/checkpoint_writer.h"
#include "train/model_saver.h"
#include "train/run_length.h"
#include "train/trainer_state.h"

namespace lathe {

/// What a run ended with.
struct TrainOutput {
  int64_t global_step = 0;
  double train_loss = 0;
  double train_runtime_s = 0;
  int stopped_by_signal = 0;  ///< 0: ran to its end, or to max_time
  bool out_of_time = false;   ///< max_time or the job's end came before the last step
  std::string save_error;     ///< why the last checkpoint is missing; "": it is not
};

/// What a Trainer works on. Everything outlives it.
struct TrainerParts {
  CausalLM& model;
  ParameterStore& store;
  const Dataset& train_dataset;
  const Dataset* eval_dataset = nullptr;  ///< null: nothing to evaluate on
  const ModelSaver& saver;
  Fingerprints fingerprints;
  std::string resume_folder;  ///< a whole checkpoint that was chosen already; "": from the start
};

class Trainer {
 public:
  /// Places the run: steps, schedule, optimizer state; loads the checkpoint of parts.resume_folder.
  /// @throws Error(kConfig, kData)
  Trainer(const TrainingArguments& args, TrainerParts parts);
  ~Trainer();

  /// *When*: epochs, logging, evaluation, saving, stopping. Writes checkpoints and logs; not the final model.
  /// A step whose gradients are not finite is left out, counted and said.
  /// @throws Error(kRun) when several such steps follow on one another, or nothing is trained at all.
  TrainOutput train();
  /// Mean loss of each evaluation batch weighted by its rows, as transformers; logged, and the best is remembered.
  /// Null when a signal asked to stop, or the time was up, before it was done.
  Json evaluate();
  /// Begins to save a checkpoint of this instant (once a step), then to drop old ones by save_total_limit; both go on
  /// behind training. A save that fails is a warning: the run goes on, and the next save point tries again.
  void save_checkpoint();

  void add_callback(std::unique_ptr<TrainerCallback> callback);
  [[nodiscard]] const TrainerState& state() const { return state_; }
  [[nodiscard]] const RunTotals& totals() const { return totals_; }
  [[nodiscard]] const Json& metrics() const { return metrics_; }  ///< of the end: train_runtime, train_loss, …
  [[nodiscard]] const Json& eval_metrics() const { return eval_metrics_; }  ///< of the last evaluation; null before
  [[nodiscard]] const RunLength& length() const { return length_; }
  [[nodiscard]] const TrainLoader& loader() const { return loader_; }
  [[nodiscard]] double input_wait_s() const { return input_wait_s_; }  ///< that updates waited for their batches
  [[nodiscard]] int stopped_by_signal() const { return stopped_by_; }  ///< 0: it was not
  [[nodiscard]] int64_t first_step() const { return first_step_; }     ///< where this run began
  [[nodiscard]] double start_s() const { return start_s_; }            ///< now_s() when train() began
  /// Of the updates that this run made; 0: each of them left every weight as it was.
  [[nodiscard]] double highest_rate() const { return highest_rate_; }
  [[nodiscard]] int64_t num_saves() const { return num_saves_; }  ///< checkpoints that became whole
  /// Seconds that saving held training up: gathering, and waiting for tensors to be read or a save to end.
  [[nodiscard]] double save_stall_s() const { return save_begin_s_ + writer_.waited_s(); }
  /// What callbacks kept in the checkpoint that was resumed; null in a new run.
  [[nodiscard]] const Json& callback_state() const { return callback_state_; }

 private:
  struct StepResult {
    double loss = 0, grad_norm = 0, learning_rate = 0;
    int64_t tokens = 0, targets = 0, rows = 0;
    void count(const Batch& batch);
    [[nodiscard]] bool is_finite() const;
  };

  /// *What*: micro-batches, clipping, the optimizer. nullopt: a signal asked to stop between two micro-batches; what
  /// was begun of the update is for the run that goes on.
  std::optional<StepResult> training_step();
  std::vector<Batch> next_batches();
  [[nodiscard]] double learning_rate() const;
  void skip(const StepResult& step);
  void check_not_zero(const StepResult& step);
  void check_any_step_was_taken() const;
  void count_step(const StepResult& step);
  [[nodiscard]] bool epoch_ended() const;
  void act_on(const Control& control);
  void log_training();
  void log(Json logs);
  [[nodiscard]] bool can_evaluate() const;
  /// nullopt: a signal asked to stop, or the time was up, before it was done.
  std::optional<double> evaluation_loss(const std::vector<std::vector<int64_t>>& batches);
  [[nodiscard]] std::string best_metric_key() const;
  [[nodiscard]] bool is_better(double value) const;
  void count_towards_early_stopping(const Json& metrics);
  void remember_best(const Json& metrics);
  PendingCheckpoint collect(const std::string& folder);
  /// A run killed between a save and the dropping of older checkpoints left one too many; where this run goes on from
  /// the newest, it does what is left to do.
  void drop_what_a_killed_save_left();
  void finish_save(bool wait);
  void note_failed_save(const std::string& folder, const std::string& error);
  void resume();
  void load_loss_scaler();
  void load_best();
  TrainOutput finish();
  [[nodiscard]] bool out_of_time() const;
  [[nodiscard]] bool ran_out_of_time() const { return late_ && state_.global_step < length_.max_steps; }
  [[nodiscard]] double elapsed_s() const;
  [[nodiscard]] RunView view() const;

  TrainingArguments args_;
  TrainerParts parts_;
  Accelerator accelerator_;
  TrainLoader loader_;
  std::unique_ptr<UpdateQueue> updates_;  ///< while train() runs
  RunLength length_;
  TrainerState state_;
  RunTotals totals_;
  LearningRateSchedule schedule_;
  std::optional<PlateauSchedule> plateau_;  ///< in its place, where the rate follows the evaluations
  std::unique_ptr<LossScaler> scaler_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<std::unique_ptr<TrainerCallback>> callbacks_;
  Json metrics_, eval_metrics_, callback_state_;
  StepResult last_;
  int64_t zero_gradient_steps_ = 0, last_saved_step_ = -1, first_step_ = 0, first_tokens_ = 0;
  double start_s_ = 0, runtime_before_s_ = 0, longest_step_s_ = 0, longest_save_s_ = 0, save_begin_s_ = 0,
         input_wait_s_ = 0;
  int64_t skipped_in_a_row_ = 0, first_skipped_ = 0;
  double highest_rate_ = 0;
  int stopped_by_ = 0;
  bool stops_early_ = false, best_is_new_ = false;
  bool late_ = false;  ///< max_time or the job's end is near
  int64_t num_saves_ = 0;
  std::string save_error_;                           ///< of the last save; "": it went well
  std::optional<std::string> best_before_, saving_;  ///< best_model_checkpoint before the save under way; its folder
  CheckpointWriter writer_;                          ///< last: its thread reads what stands above
};

}  // namespace lathe
