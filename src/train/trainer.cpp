#include "train/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/memory_ledger.h"
#include "base/signals.h"
#include "config/config_file.h"
#include "config/plan.h"
#include "engine/make_optimizer.h"
#include "ops/device.h"
#include "ops/profile.h"
#include "train/clock.h"
#include "train/output_folder.h"
#include "train/row_order.h"
#include "train/run_length.h"

namespace lathe {
namespace {

constexpr int64_t kZeroGradientLimit = 3;
/// Steps left out in a row before a run gives up: a loss scale has to come down from where it starts first.
constexpr int64_t kSkippedLimit = 3, kSkippedLimitWhileScaling = 40;

}  // namespace

Trainer::Trainer(const TrainingArguments& args, TrainerParts parts)
    : args_(args),
      parts_(std::move(parts)),
      loader_(parts_.train_dataset, loader_options(args)),
      length_(run_length(args, loader_.updates_per_epoch(), static_cast<int64_t>(parts_.train_dataset.samples.size()))),
      state_(initial_state(args, length_)),
      schedule_(make_schedule(args, length_.max_steps)),
      scaler_(make_loss_scaler(args)),
      optimizer_(make_optimizer(args, parts_.store.parameters())) {
  const ModelShape& shape = parts_.model.shape();
  length_.parameters_without_embeddings = parts_.store.num_total() - shape.vocab_size * shape.hidden_size;
  if (args.lr_scheduler_type == "reduce_lr_on_plateau") {
    plateau_.emplace(args.learning_rate, parse_json(args.lr_scheduler_kwargs, "lr_scheduler_kwargs"));
  }
  if (!parts_.resume_folder.empty()) resume();
  first_step_ = state_.global_step;
  first_skipped_ = totals_.skipped_steps;
  first_tokens_ = totals_.tokens;
  runtime_before_s_ = totals_.runtime_s;
}

Trainer::~Trainer() = default;

void Trainer::add_callback(std::unique_ptr<TrainerCallback> callback) {
  callbacks_.push_back(std::move(callback));
}

TrainOutput Trainer::train() {
  start_s_ = now_s();
  updates_ =
      std::make_unique<UpdateQueue>(loader_, state_.global_step, length_.max_steps, args_.dataloader_num_workers);
  for (auto& callback : callbacks_) callback->on_train_begin(view());
  const bool first = args_.eval_on_start && state_.global_step == 0 && parts_.resume_folder.empty();
  // What was saved of this step lacks the evaluation that is made up for: it may be the best one.
  if (totals_.evaluation_pending || first) act_on({.evaluate = true, .save = totals_.evaluation_pending});
  while (state_.global_step < length_.max_steps && stopped_by_ == 0 && !stops_early_ && !late_) {
    const double step_start = now_s();
    const std::optional<StepResult> step = training_step();
    if (!step) {
      stopped_by_ = stop_signal();
      log::info("Asked to stop within update {}, which will be done again", state_.global_step + 1);
      finish_save(/*wait=*/true);
      save_checkpoint();
      break;
    }
    last_ = *step;
    count_step(last_);
    longest_step_s_ = std::max(longest_step_s_, now_s() - step_start);
    for (auto& callback : callbacks_) callback->on_step_end(view());
    finish_save(/*wait=*/false);

    Control control = control_after_step(args_, state_, epoch_ended());
    control.save |= take_save_request();
    stopped_by_ = stop_signal();
    late_ = out_of_time();
    control.save |= stopped_by_ != 0 || late_;
    act_on(control);
  }
  updates_.reset();
  check_any_step_was_taken();
  if (ran_out_of_time()) {
    log::info(
        "The time is nearly over (max_time, or the job's end): the run stops at step {} of {}; "
        "resume_from_checkpoint: true goes on from there",
        state_.global_step, length_.max_steps);
  }
  return finish();
}

std::vector<Batch> Trainer::next_batches() {
  const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "wait for input");
  const double start = now_s();
  std::vector<Batch> batches = updates_->next();
  input_wait_s_ += now_s() - start;
  return batches;
}

std::optional<Trainer::StepResult> Trainer::training_step() {
  const std::vector<Batch> micro_batches = next_batches();
  StepResult step;
  for (const Batch& batch : micro_batches) step.count(batch);
  const int64_t num_targets = accelerator_.sum(step.targets);  // the mean is over all ranks and micro-batches
  const double scale = num_targets > 0 ? 1.0 / static_cast<double>(num_targets) : 0.0;
  const double loss_scale = scaler_->scale();

  parts_.store.forget_gradients();
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    // Who asks a run to stop may not wait for the end of an update, and weights and optimizer are still the last one's.
    // Before the very first there is nothing to save: that one is ended.
    if (i > 0 && state_.global_step > 0 && stop_signal() != 0) return std::nullopt;
    const MemoryScope scope(MemoryClass::kActivations);
    const bool last = i + 1 == micro_batches.size();
    const DropoutKey dropout{args_.seed, state_.global_step, static_cast<int64_t>(i),
                             parts_.model.options().lora.dropout > 0};
    const auto saved = make_saved_activations();
    step.loss += scale * parts_.model.forward(micro_batches[i], parts_.store, &parts_.store, *saved, scale * loss_scale,
                                              last, dropout);
    parts_.model.backward(micro_batches[i], parts_.store, parts_.store, *saved, last, dropout);
  }
  parts_.store.complete_gradients();
  accelerator_.wait_for_gradients();
  const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "optimizer");

  step.loss = accelerator_.sum(step.loss);
  step.grad_norm = gradient_norm(parts_.store.parameters()) / loss_scale;
  step.learning_rate = learning_rate();
  if (!step.is_finite()) {
    skip(step);
    return step;
  }
  check_not_zero(step);
  optimizer_->step(step.learning_rate, clip_coefficient(step.grad_norm, args_.max_grad_norm) / loss_scale,
                   [this](size_t parameter) { writer_.wait_for_parameter(parameter); });
  scaler_->update(false);
  skipped_in_a_row_ = 0;
  highest_rate_ = std::max(highest_rate_, step.learning_rate);
  return step;
}

void Trainer::StepResult::count(const Batch& batch) {
  tokens += batch.num_tokens();
  targets += batch.num_targets();
  rows += batch.num_rows();
}

bool Trainer::StepResult::is_finite() const {
  return std::isfinite(loss) && std::isfinite(grad_norm);
}

double Trainer::learning_rate() const {
  return plateau_ ? plateau_->learning_rate() : schedule_.learning_rate(state_.global_step - totals_.skipped_steps);
}

void Trainer::skip(const StepResult& step) {
  ++totals_.skipped_steps;
  const double before = scaler_->scale();
  scaler_->update(true);
  const bool scaling = !scaler_->state().is_null();
  const std::string what = fmt::format("{} not finite at step {} (loss {:g}, gradient norm {:g})",
                                       std::isfinite(step.loss) ? "the gradients are" : "the loss is",
                                       state_.global_step + 1, step.loss, step.grad_norm);
  if (++skipped_in_a_row_ >= (scaling ? kSkippedLimitWhileScaling : kSkippedLimit)) {
    throw Error(ErrorKind::kRun, fmt::format("{}: {} steps in a row had to be left out", what, skipped_in_a_row_), {},
                "look at the base weights and the rows, or take a smaller learning_rate");
  }
  log::warning("{}: the step is left out{}", what,
               scaling ? fmt::format(", loss scale {:g} -> {:g}", before, scaler_->scale()) : "");
}

void Trainer::check_any_step_was_taken() const {
  const int64_t steps = state_.global_step - first_step_;
  if (steps == 0 || state_.global_step < length_.max_steps || totals_.skipped_steps - first_skipped_ < steps) return;
  throw Error(ErrorKind::kRun,
              fmt::format("the gradients of each of the run's {} steps were not finite: nothing was trained", steps),
              {},
              scaler_->state().is_null() ? "look at the base weights and the rows"
                                         : "the loss scale was still coming down: take more steps, or \"bf16\": true");
}

void Trainer::check_not_zero(const StepResult& step) {
  zero_gradient_steps_ = step.grad_norm == 0 ? zero_gradient_steps_ + 1 : 0;
  if (zero_gradient_steps_ < kZeroGradientLimit) return;
  throw Error(ErrorKind::kRun,
              fmt::format("every gradient was exactly zero for {} steps: nothing is being trained", kZeroGradientLimit),
              {},
              "the likely causes: rows cut before their answer (max_seq_length), every label masked, or "
              "lora_target_modules that the loss does not reach");
}

void Trainer::count_step(const StepResult& step) {
  ++state_.global_step;
  state_.epoch = epoch_after(state_.global_step, loader_, args_.gradient_accumulation_steps);
  state_.num_input_tokens_seen += step.tokens;
  state_.total_flos += 6.0 * static_cast<double>(step.tokens * length_.parameters_without_embeddings);
  // A loss that is not finite counts as the mean since the last log, as transformers' logging_nan_inf_filter has it.
  const auto since_log = static_cast<double>(state_.global_step - totals_.last_logged_step);
  totals_.loss_since_log += std::isfinite(step.loss) ? step.loss : totals_.loss_since_log / since_log;
  totals_.tokens += step.tokens;
  totals_.trained_tokens += step.targets;
  totals_.rows += step.rows;
}

bool Trainer::epoch_ended() const {
  return state_.global_step >= length_.max_steps || state_.global_step % loader_.updates_per_epoch() == 0;
}

void Trainer::act_on(const Control& control) {
  if (control.log && state_.global_step > totals_.last_logged_step) log_training();
  totals_.evaluation_pending = control.evaluate && can_evaluate();
  best_is_new_ = false;
  if (totals_.evaluation_pending && !evaluate().is_null()) {
    totals_.evaluation_pending = false;
    last_saved_step_ = -1;  // what was saved of this step on request lacks its evaluation
  }
  const bool save_best = args_.save_strategy == "best" && best_is_new_;
  if (control.save || save_best || totals_.evaluation_pending) save_checkpoint();
}

void Trainer::log_training() {
  const auto steps = static_cast<double>(state_.global_step - totals_.last_logged_step);
  Json logs = {{"loss", totals_.loss_since_log / steps}};
  if (std::isfinite(last_.grad_norm)) logs["grad_norm"] = last_.grad_norm;
  logs["learning_rate"] = last_.learning_rate;
  totals_.loss += totals_.loss_since_log;
  totals_.loss_since_log = 0;
  totals_.last_logged_step = state_.global_step;
  log(std::move(logs));
}

void Trainer::log(Json logs) {
  logs["epoch"] = state_.epoch;
  Json entry = logs;
  entry["step"] = state_.global_step;
  state_.log_history.push_back(std::move(entry));
  for (auto& callback : callbacks_) {
    try {
      callback->on_log(view(), logs);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kIo) throw;
      log::warning("a line of the log is lost: {}", error.what());  // trainer_state.json has it, too
    }
  }
}

void Trainer::save_checkpoint() {
  if (last_saved_step_ == state_.global_step && !totals_.evaluation_pending) return;
  finish_save(/*wait=*/true);
  saving_ = fmt::format("{}/checkpoint-{}", args_.output_dir, state_.global_step);
  best_before_ = state_.best_model_checkpoint;
  last_saved_step_ = state_.global_step;
  const double start = now_s();
  try {
    parts_.store.require_finite();
    PendingCheckpoint pending = collect(*saving_);
    writer_.begin(std::move(pending),
                  [folder = args_.output_dir, limit = args_.save_total_limit, best = state_.best_model_checkpoint,
                   written = *saving_] { rotate_checkpoints(folder, limit, best, written); });
  } catch (const std::bad_alloc&) {
    note_failed_save(*saving_, "no memory left to prepare it");
  } catch (const std::exception& error) {
    note_failed_save(*saving_, error.what());
  }
  save_begin_s_ += now_s() - start;
}

PendingCheckpoint Trainer::collect(const std::string& folder) {
  if (state_.best_global_step) {
    const std::string best = fmt::format("{}/checkpoint-{}", args_.output_dir, *state_.best_global_step);
    if (*state_.best_global_step == state_.global_step || file_exists(best)) state_.best_model_checkpoint = best;
  }
  totals_.runtime_s = elapsed_s();
  totals_.loss_scaler = scaler_->state();
  if (plateau_) totals_.plateau = plateau_->state();
  Json kept = Json::object();
  std::vector<std::string> logs;
  for (auto& callback : callbacks_) callback->save_state(kept, logs);
  return collect_checkpoint(folder, parts_.saver, parts_.store,
                            {.state = state_,
                             .totals = totals_,
                             .row_order = row_order(args_, length_.num_rows),
                             .callbacks = std::move(kept),
                             .logs = std::move(logs),
                             .training_args = to_json_text(args_),
                             .optimizer = args_.save_only_model ? nullptr : optimizer_.get()},
                            parts_.fingerprints);
}

void Trainer::finish_save(bool wait) {
  const std::optional<SaveOutcome> outcome = writer_.take(wait);
  if (!outcome) return;
  longest_save_s_ = std::max(longest_save_s_, outcome->seconds);
  if (outcome->error) return note_failed_save(outcome->folder, *outcome->error);
  save_error_.clear();
  ++num_saves_;
  for (auto& callback : callbacks_) callback->on_save(view(), outcome->folder);
}

void Trainer::note_failed_save(const std::string& folder, const std::string& error) {
  save_error_ = error;
  last_saved_step_ = -1;  // one save is under way at a time: it was this one's
  if (state_.best_model_checkpoint == folder) state_.best_model_checkpoint = best_before_;
  const std::vector<CheckpointFolder> whole = list_checkpoints(args_.output_dir);
  log::warning(
      "{} could NOT be saved: {}; the run goes on, {}, and the next save point tries again", folder, error,
      whole.empty() ? "without any checkpoint yet" : fmt::format("the newest checkpoint is {}", whole.back().path));
}

void Trainer::resume() {
  RestoredCheckpoint restored = read_checkpoint(parts_.resume_folder, parts_.saver, parts_.store, *optimizer_);
  check_row_order(parts_.resume_folder, restored.row_order, row_order(args_, length_.num_rows));
  const TrainerState fresh = state_;
  state_ = std::move(restored.state);
  state_.max_steps = fresh.max_steps;
  state_.num_train_epochs = fresh.num_train_epochs;
  state_.train_batch_size = fresh.train_batch_size;
  state_.logging_steps = fresh.logging_steps;
  state_.eval_steps = fresh.eval_steps;
  state_.save_steps = fresh.save_steps;
  totals_ = restored.totals;
  load_loss_scaler();
  callback_state_ = std::move(restored.callbacks);
  if (state_.best_global_step) {  // the folder may have been moved since
    const std::filesystem::path beside =
        std::filesystem::path(without_trailing_slash(parts_.resume_folder)).parent_path();
    const std::string best = (beside / fmt::format("checkpoint-{}", *state_.best_global_step)).string();
    if (file_exists(best)) state_.best_model_checkpoint = best;
  }
  if (plateau_ && totals_.plateau.is_object()) plateau_->load(totals_.plateau);
  stops_early_ = args_.early_stopping_patience > 0 && totals_.evaluations_without_gain >= args_.early_stopping_patience;
  last_saved_step_ = state_.global_step;
  drop_what_a_killed_save_left();
}

void Trainer::load_loss_scaler() {
  if (totals_.loss_scaler.is_null() || scaler_->state().is_null()) return;
  try {
    scaler_->load(totals_.loss_scaler);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kConfig,
                fmt::format("'{}' has the loss scale of another kind of scaler: {}", parts_.resume_folder,
                            dump_json(totals_.loss_scaler)),
                {.file = "", .line = 0, .key = "resume_from_checkpoint"},
                "resume with the same deepspeed setting that it was made with");
  }
}

void Trainer::drop_what_a_killed_save_left() {
  const std::vector<CheckpointFolder> all = list_checkpoints(args_.output_dir);
  std::error_code none;
  if (all.empty() || !std::filesystem::equivalent(all.back().path, parts_.resume_folder, none)) return;
  try {
    rotate_checkpoints(args_.output_dir, args_.save_total_limit, state_.best_model_checkpoint, all.back().path);
  } catch (const std::exception& error) {
    log::warning("a checkpoint beyond save_total_limit stays: {}", error.what());
  }
}

bool Trainer::out_of_time() const {
  if (!length_.deadline_s) return false;
  // Until one is measured, a save is expected to be as slow as a network's disk.
  constexpr double kDiskBytesPerSecond = 4e8;
  const double save =
      num_saves_ > 0
          ? longest_save_s_
          : static_cast<double>(checkpoint_bytes(parts_.model.shape(), args_, parts_.store.num_trainable())) /
                kDiskBytesPerSecond;
  // The next step must still fit, and a save after it; a step may be longer than any before.
  return now_s() + 2 * longest_step_s_ + 2 * save + 1 > *length_.deadline_s;
}

double Trainer::elapsed_s() const {
  return runtime_before_s_ + (now_s() - start_s_);
}

RunView Trainer::view() const {
  const double here = now_s() - start_s_;
  const auto tokens = static_cast<double>(totals_.tokens - first_tokens_);
  const at::Device device = parts_.model.options().device;
  return {.args = args_,
          .state = state_,
          .totals = totals_,
          .elapsed_s = elapsed_s(),
          .tokens_per_second = here > 0 ? tokens / here : 0,
          .memory_bytes = device.is_cpu() ? cpu_ledger().peak_total() : ops::device_memory(device).peak_bytes,
          .loss = last_.loss,
          .first_step = first_step_};
}

TrainOutput Trainer::finish() {
  finish_save(/*wait=*/true);
  totals_.loss += totals_.loss_since_log;
  totals_.loss_since_log = 0;
  const double runtime = elapsed_s();
  totals_.runtime_s = runtime;
  totals_.loss_scaler = scaler_->state();
  const auto steps = static_cast<double>(state_.global_step);
  TrainOutput output{.global_step = state_.global_step,
                     .train_loss = totals_.loss / std::max(steps, 0.001),
                     .train_runtime_s = runtime,
                     .stopped_by_signal = stopped_by_,
                     .out_of_time = ran_out_of_time(),
                     .save_error = save_error_};
  metrics_ = {{"train_runtime", rounded(runtime, 4)},
              {"train_samples_per_second", rounded(static_cast<double>(totals_.rows) / runtime, 3)},
              {"train_steps_per_second", rounded(steps / runtime, 3)},
              {"total_flos", state_.total_flos},
              {"train_loss", output.train_loss}};
  if (stopped_by_ == 0) {
    log(metrics_);
    load_best();
  }
  for (auto& callback : callbacks_) callback->on_train_end(view());
  return output;
}

void Trainer::load_best() {
  if (!args_.load_best_model_at_end || !state_.best_global_step) return;
  const std::string best = fmt::format("checkpoint-{}", *state_.best_global_step);
  const bool saved = state_.best_model_checkpoint.has_value();
  if (!saved || std::filesystem::path(*state_.best_model_checkpoint).filename() != best) {
    log::warning("the best evaluation ({:g}, at step {}) has no checkpoint: {}", *state_.best_metric,
                 *state_.best_global_step, saved ? "the best that was saved is loaded" : "the last weights stay");
  }
  if (!saved) return;
  if (const auto damage = find_damage(*state_.best_model_checkpoint)) {
    log::warning("the best model stays in {} and is not loaded: {}", *state_.best_model_checkpoint, *damage);
    return;
  }
  log::info("Loading best model from {} (score: {}).", *state_.best_model_checkpoint, *state_.best_metric);
  parts_.store.load_trained(parts_.saver.load(*state_.best_model_checkpoint));
}

}  // namespace lathe
