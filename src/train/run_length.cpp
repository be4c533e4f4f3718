#include "train/run_length.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "train/clock.h"

namespace lathe {
namespace {

/// logging_steps, eval_steps, save_steps: below 1 a share of all steps.
int64_t absolute_steps(double setting, int64_t max_steps) {
  if (setting >= 1 || setting <= 0) return static_cast<int64_t>(setting);
  return static_cast<int64_t>(std::ceil(static_cast<double>(max_steps) * setting));
}

bool every(int64_t step, int64_t interval) {
  return interval > 0 && step % interval == 0;
}

std::optional<double> deadline(const TrainingArguments& args) {
  std::optional<double> end;
  if (args.max_time) end = kProcessStart_s + parse_max_time(*args.max_time);
  if (const char* slurm = std::getenv("SLURM_JOB_END_TIME")) {
    const double left = std::strtod(slurm, nullptr) - wall_time_s();
    if (left > 0) end = std::min(end.value_or(now_s() + left), now_s() + left);
  }
  return end;
}

}  // namespace

RunLength run_length(const TrainingArguments& args, int64_t updates_per_epoch, int64_t num_rows) {
  RunLength length;
  length.num_rows = num_rows;
  length.updates_per_epoch = std::max<int64_t>(updates_per_epoch, 1);
  if (args.max_steps > 0) {
    length.max_steps = args.max_steps;
    length.num_train_epochs = (args.max_steps + length.updates_per_epoch - 1) / length.updates_per_epoch;
  } else {
    length.max_steps =
        static_cast<int64_t>(std::ceil(args.num_train_epochs * static_cast<double>(length.updates_per_epoch)));
    length.num_train_epochs = static_cast<int64_t>(std::ceil(args.num_train_epochs));
  }
  length.warmup_steps = warmup_steps(args, length.max_steps);
  length.deadline_s = deadline(args);
  return length;
}

int64_t warmup_steps(const TrainingArguments& args, int64_t max_steps) {
  if (args.warmup_steps >= 1) return static_cast<int64_t>(args.warmup_steps);
  const double share = args.warmup_steps > 0 ? args.warmup_steps : args.warmup_ratio;
  return static_cast<int64_t>(std::ceil(static_cast<double>(max_steps) * share));
}

LoaderOptions loader_options(const TrainingArguments& args) {
  const bool grouped = args.train_sampling_strategy == "group_by_length" && !args.packing;
  return {.batch_size = args.per_device_train_batch_size,
          .gradient_accumulation_steps = args.gradient_accumulation_steps,
          // transformers' sampler of grouped rows draws from the program's generator, which data_seed does not set.
          .seed = grouped ? args.seed : args.data_seed.value_or(args.seed),
          .shuffle = args.train_sampling_strategy != "sequential",
          .drop_last = args.dataloader_drop_last,
          .group_by_length = grouped,
          .packing_tokens = args.packing ? args.max_seq_length : 0};
}

LearningRateSchedule make_schedule(const TrainingArguments& args, int64_t max_steps) {
  const Json kwargs =
      args.lr_scheduler_kwargs.empty() ? Json::object() : parse_json(args.lr_scheduler_kwargs, "lr_scheduler_kwargs");
  return {args.lr_scheduler_type, args.learning_rate, warmup_steps(args, max_steps), max_steps, kwargs};
}

TrainerState initial_state(const TrainingArguments& args, const RunLength& length) {
  TrainerState state;
  state.max_steps = length.max_steps;
  state.num_train_epochs = length.num_train_epochs;
  state.train_batch_size = args.per_device_train_batch_size;
  state.logging_steps = absolute_steps(args.logging_steps, length.max_steps);
  state.eval_steps = absolute_steps(args.eval_steps, length.max_steps);
  state.save_steps = absolute_steps(args.save_steps, length.max_steps);
  return state;
}

double epoch_after(int64_t global_step, const TrainLoader& loader, int64_t gradient_accumulation_steps) {
  const int64_t updates = loader.updates_per_epoch(), micro_batches = loader.micro_batches_per_epoch();
  const int64_t epoch = (global_step - 1) / updates, update = (global_step - 1) % updates;
  const int64_t done = std::min((update + 1) * gradient_accumulation_steps, micro_batches);
  return static_cast<double>(epoch) + static_cast<double>(done) / static_cast<double>(micro_batches);
}

Control control_after_step(const TrainingArguments& args, const TrainerState& state, bool epoch_ended) {
  Control control;
  const int64_t step = state.global_step;
  const bool last = step >= state.max_steps;
  control.log = (step == 1 && args.logging_first_step) ||
                (args.logging_strategy == "steps" && every(step, state.logging_steps)) ||
                (args.logging_strategy == "epoch" && epoch_ended);
  // transformers 5.23 evaluates and saves once more at the end when these go by steps.
  const double place = args.eval_strategy == "epoch" ? state.epoch : static_cast<double>(step);
  control.evaluate =
      args.eval_delay <= place && ((args.eval_strategy == "steps" && (every(step, state.eval_steps) || last)) ||
                                   (args.eval_strategy == "epoch" && epoch_ended));
  control.save = (args.save_strategy == "steps" && (every(step, state.save_steps) || last)) ||
                 (args.save_strategy == "epoch" && epoch_ended);
  return control;
}

SaveCount count_saves(const TrainingArguments& args, const RunLength& length) {
  // The last one comes at the end.
  const auto every_so_many = [&](double setting) {
    const int64_t steps = absolute_steps(setting, length.max_steps);
    return steps <= 0 ? 1 : (length.max_steps + steps - 1) / steps;
  };
  const auto at_all = [](int64_t count) { return SaveCount{count, count}; };
  if (args.save_strategy == "no") return at_all(0);
  if (args.save_strategy == "epoch") return at_all(length.num_train_epochs);
  if (args.save_strategy == "steps") return at_all(every_so_many(args.save_steps));
  return {1, args.eval_strategy == "epoch" ? length.num_train_epochs : every_so_many(args.eval_steps)};
}

std::vector<std::string> idle_settings(const TrainingArguments& args, const TrainerState& state,
                                       const RunLength& length) {
  std::vector<std::string> sentences;
  if (length.warmup_steps >= length.max_steps && length.max_steps > 0 && args.lr_scheduler_type != "constant") {
    sentences.push_back(fmt::format(
        "warm-up ({} steps) is longer than the run ({} steps): the learning rate never reaches {:g}, at most {:g}",
        length.warmup_steps, length.max_steps, args.learning_rate,
        make_schedule(args, length.max_steps).learning_rate(length.max_steps - 1)));
  }
  if (args.eval_strategy == "steps" && state.eval_steps > length.max_steps) {
    sentences.push_back(fmt::format("eval_steps ({}) is beyond the run ({} steps): the only evaluation is at its end",
                                    state.eval_steps, length.max_steps));
  }
  if (args.save_strategy == "steps" && state.save_steps > length.max_steps) {
    sentences.push_back(fmt::format("save_steps ({}) is beyond the run ({} steps): the only checkpoint is at its end",
                                    state.save_steps, length.max_steps));
  }
  if (args.logging_strategy == "steps" && state.logging_steps > length.max_steps) {
    sentences.push_back(fmt::format("logging_steps ({}) is beyond the run ({} steps): no loss will be logged",
                                    state.logging_steps, length.max_steps));
  }
  return sentences;
}

double parse_max_time(const std::string& text) {
  double seconds = 0;
  int parts = 0;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (at < end && parts < 3) {
    int64_t value = 0;
    const auto parsed = std::from_chars(at, end, value);
    if (parsed.ec != std::errc() || value < 0 || (parsed.ptr != end && *parsed.ptr != ':')) break;
    seconds = seconds * 60 + static_cast<double>(value);
    ++parts;
    at = parsed.ptr == end ? end : parsed.ptr + 1;
    if (parsed.ptr == end && parts == 3) return seconds;
  }
  throw Error(ErrorKind::kConfig, fmt::format("'{}' is no time", text), {.file = "", .line = 0, .key = "max_time"},
              "give hours, minutes and seconds as \"hh:mm:ss\"");
}

}  // namespace lathe
