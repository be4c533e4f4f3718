#pragma once
// How long a run is and when it does what: transformers 5.23's arithmetic of steps and epochs.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/training_arguments.h"
#include "data/loader.h"
#include "engine/schedule.h"
#include "train/trainer_state.h"

namespace lathe {

struct RunLength {
  int64_t num_rows = 0, updates_per_epoch = 0, max_steps = 0, num_train_epochs = 0;
  int64_t warmup_steps = 0;
  int64_t parameters_without_embeddings = 0;  ///< for total_flos; set by who knows the model
  std::optional<double> deadline_s;           ///< of now_s(): max_time, or the end of the Slurm job
};

/// max_steps > 0 counts alone; else ceil(num_train_epochs * updates_per_epoch).
[[nodiscard]] RunLength run_length(const TrainingArguments& args, int64_t updates_per_epoch, int64_t num_rows);

/// warmup_steps: from 1 on steps, below 1 a share of all; warmup_ratio where there are no warmup_steps.
[[nodiscard]] int64_t warmup_steps(const TrainingArguments& args, int64_t max_steps);

/// How training rows become updates. With packing, a pack holds at most max_seq_length tokens.
[[nodiscard]] LoaderOptions loader_options(const TrainingArguments& args);

[[nodiscard]] LearningRateSchedule make_schedule(const TrainingArguments& args, int64_t max_steps);
[[nodiscard]] TrainerState initial_state(const TrainingArguments& args, const RunLength& length);

/// epoch as log_history counts it after that many updates: micro-batches of the epoch so far / micro-batches of an
/// epoch.
[[nodiscard]] double epoch_after(int64_t global_step, const TrainLoader& loader, int64_t gradient_accumulation_steps);

/// What is due after a step (transformers' DefaultFlowCallback).
struct Control {
  bool log = false, evaluate = false, save = false;
};
[[nodiscard]] Control control_after_step(const TrainingArguments& args, const TrainerState& state, bool epoch_ended);

/// How many checkpoints the run writes. With save_strategy "best" one is certain, and each evaluation may be better than
/// those before it.
struct SaveCount {
  int64_t certain = 0, possible = 0;
};
[[nodiscard]] SaveCount count_saves(const TrainingArguments& args, const RunLength& length);

/// Sentences on settings that will never act: warm-up longer than the run, eval and save steps beyond it.
[[nodiscard]] std::vector<std::string> idle_settings(const TrainingArguments& args, const TrainerState& state,
                                                     const RunLength& length);

/// "hh:mm:ss" → seconds. @throws Error(kConfig)
[[nodiscard]] double parse_max_time(const std::string& text);

}  // namespace lathe
