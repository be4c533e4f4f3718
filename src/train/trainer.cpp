#include "train/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/memory_ledger.h"
#include "base/signals.h"
#include "config/config_file.h"
#include "engine/make_optimizer.h"
#include "ops/profile.h"
#include "train/clock.h"
#include "train/output_folder.h"
#include "train/run_length.h"

namespace lathe {
namespace {

constexpr int64_t kZeroGradientLimit = 3;

}  // namespace

Trainer::Trainer(const TrainingArguments& args, TrainerParts parts)
    : args_(args),
      parts_(std::move(parts)),
      loader_(parts_.train_dataset, loader_options(args)),
      length_(run_length(args, loader_.updates_per_epoch(), static_cast<int64_t>(parts_.train_dataset.samples.size()))),
      state_(initial_state(args, length_)),
      schedule_(make_schedule(args, length_.max_steps)),
      optimizer_(make_optimizer(args, parts_.store.parameters())) {
  const ModelShape& shape = parts_.model.shape();
  length_.parameters_without_embeddings = parts_.store.num_total() - shape.vocab_size * shape.hidden_size;
  if (!parts_.resume_folder.empty()) resume();
  first_step_ = state_.global_step;
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
  if (totals_.evaluation_pending) act_on({.evaluate = true});
  if (args_.eval_on_start && state_.global_step == 0 && can_evaluate()) evaluate();
  while (state_.global_step < length_.max_steps && stopped_by_ == 0) {
    const double step_start = now_s();
    last_ = training_step();
    count_step(last_);
    longest_step_s_ = std::max(longest_step_s_, now_s() - step_start);
    for (auto& callback : callbacks_) callback->on_step_end(view());

    Control control = control_after_step(args_, state_, epoch_ended());
    control.save |= take_save_request();
    stopped_by_ = stop_signal();
    const bool late = out_of_time();
    control.save |= stopped_by_ != 0 || late;
    act_on(control);
    if (late) break;
  }
  updates_.reset();
  return finish();
}

std::vector<Batch> Trainer::next_batches() {
  const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "wait for input");
  const double start = now_s();
  std::vector<Batch> batches = updates_->next();
  input_wait_s_ += now_s() - start;
  return batches;
}

Trainer::StepResult Trainer::training_step() {
  const std::vector<Batch> micro_batches = next_batches();
  StepResult step;
  for (const Batch& batch : micro_batches) step.count(batch);
  const int64_t num_targets = accelerator_.sum(step.targets);  // the mean is over all ranks and micro-batches
  const double scale = num_targets > 0 ? 1.0 / static_cast<double>(num_targets) : 0.0;

  parts_.store.forget_gradients();
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    const MemoryScope scope(MemoryClass::kActivations);
    const bool last = i + 1 == micro_batches.size();
    const DropoutKey dropout{args_.seed, state_.global_step, static_cast<int64_t>(i),
                             parts_.model.options().lora.dropout > 0};
    const auto saved = make_saved_activations();
    step.loss +=
        scale * parts_.model.forward(micro_batches[i], parts_.store, &parts_.store, *saved, scale, last, dropout);
    parts_.model.backward(micro_batches[i], parts_.store, parts_.store, *saved, last, dropout);
  }
  parts_.store.complete_gradients();
  accelerator_.wait_for_gradients();
  const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "optimizer");

  step.loss = accelerator_.sum(step.loss);
  step.grad_norm = gradient_norm(parts_.store.parameters());
  check_finite(step);
  step.learning_rate = schedule_.learning_rate(state_.global_step);
  optimizer_->step(step.learning_rate, clip_coefficient(step.grad_norm, args_.max_grad_norm));
  return step;
}

void Trainer::StepResult::count(const Batch& batch) {
  tokens += batch.num_tokens();
  targets += batch.num_targets();
  rows += batch.num_rows();
}

void Trainer::check_finite(const StepResult& step) {
  if (!std::isfinite(step.loss) || !std::isfinite(step.grad_norm)) {
    throw Error(ErrorKind::kRun,
                fmt::format("{} is not finite at step {} (loss {:g}, gradient norm {:g}); the weights of this step are "
                            "not saved",
                            std::isfinite(step.loss) ? "the gradient" : "the loss", state_.global_step + 1, step.loss,
                            step.grad_norm),
                {}, "look at the base weights and the rows, or take a smaller learning_rate");
  }
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
  totals_.loss_since_log += step.loss;
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
  if (totals_.evaluation_pending && !evaluate().is_null()) {
    totals_.evaluation_pending = false;
    last_saved_step_ = -1;  // what was saved of this step on request lacks its evaluation
  }
  if (control.save || totals_.evaluation_pending) save_checkpoint();
}

void Trainer::log_training() {
  const auto steps = static_cast<double>(state_.global_step - totals_.last_logged_step);
  Json logs = {
      {"loss", totals_.loss_since_log / steps}, {"grad_norm", last_.grad_norm}, {"learning_rate", last_.learning_rate}};
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
  for (auto& callback : callbacks_) callback->on_log(view(), logs);
}

void Trainer::save_checkpoint() {
  if (last_saved_step_ == state_.global_step && !totals_.evaluation_pending) return;
  const double start = now_s();
  const std::string folder = fmt::format("{}/checkpoint-{}", args_.output_dir, state_.global_step);
  if (state_.best_global_step) {
    const std::string best = fmt::format("{}/checkpoint-{}", args_.output_dir, *state_.best_global_step);
    if (*state_.best_global_step == state_.global_step || file_exists(best)) state_.best_model_checkpoint = best;
  }
  totals_.runtime_s = elapsed_s();
  Json kept = Json::object();
  for (auto& callback : callbacks_) callback->save_state(kept);
  write_checkpoint(folder, parts_.saver, parts_.store,
                   {.state = state_,
                    .totals = totals_,
                    .callbacks = std::move(kept),
                    .training_args = to_json_text(args_),
                    .optimizer = args_.save_only_model ? nullptr : optimizer_.get()},
                   parts_.fingerprints);
  last_saved_step_ = state_.global_step;
  rotate_checkpoints(args_.output_dir, args_.save_total_limit, state_.best_model_checkpoint);
  longest_save_s_ = std::max(longest_save_s_, now_s() - start);
  for (auto& callback : callbacks_) callback->on_save(view(), folder);
}

void Trainer::resume() {
  RestoredCheckpoint restored = read_checkpoint(parts_.resume_folder, parts_.saver, parts_.store, *optimizer_);
  const TrainerState fresh = state_;
  state_ = std::move(restored.state);
  state_.max_steps = fresh.max_steps;
  state_.num_train_epochs = fresh.num_train_epochs;
  state_.logging_steps = fresh.logging_steps;
  state_.eval_steps = fresh.eval_steps;
  state_.save_steps = fresh.save_steps;
  totals_ = restored.totals;
  callback_state_ = std::move(restored.callbacks);
  last_saved_step_ = state_.global_step;
}

bool Trainer::out_of_time() const {
  if (!length_.deadline_s) return false;
  // The next step must still fit, and a save after it; a step may be longer than any before.
  return now_s() + 2 * longest_step_s_ + 2 * longest_save_s_ + 1 > *length_.deadline_s;
}

double Trainer::elapsed_s() const {
  return runtime_before_s_ + (now_s() - start_s_);
}

RunView Trainer::view() const {
  const double here = now_s() - start_s_;
  const auto tokens = static_cast<double>(totals_.tokens - first_tokens_);
  return {.args = args_,
          .state = state_,
          .totals = totals_,
          .elapsed_s = elapsed_s(),
          .tokens_per_second = here > 0 ? tokens / here : 0,
          .memory_bytes = cpu_ledger().peak_total(),
          .loss = last_.loss,
          .first_step = first_step_};
}

TrainOutput Trainer::finish() {
  totals_.loss += totals_.loss_since_log;
  totals_.loss_since_log = 0;
  const double runtime = elapsed_s();
  totals_.runtime_s = runtime;
  const auto steps = static_cast<double>(state_.global_step);
  TrainOutput output{.global_step = state_.global_step,
                     .train_loss = totals_.loss / std::max(steps, 0.001),
                     .train_runtime_s = runtime,
                     .stopped_by_signal = stopped_by_};
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
  if (!args_.load_best_model_at_end || !state_.best_model_checkpoint) return;
  log::info("Loading best model from {} (score: {}).", *state_.best_model_checkpoint, *state_.best_metric);
  parts_.store.load_trained(parts_.saver.load(*state_.best_model_checkpoint));
}

}  // namespace lathe
