#include "config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/file.h"
#include "config/deepspeed.h"
#include "config/optimizers.h"

namespace lathe {
namespace {

/// Of two settings that exclude each other the one from the later source stays; in one source they contradict.
bool same_source(const Settings& settings, const char* a, const char* b) {
  return settings.has(a) && settings.has(b) && settings.given.at(a).source == settings.given.at(b).source;
}

bool later(const Settings& settings, const char* a, const char* b) {
  if (!settings.has(a)) return false;
  return !settings.has(b) || settings.given.at(a).source > settings.given.at(b).source;
}

void settle_precision(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (args.bf16 && args.fp16) {
    if (same_source(settings, "bf16", "fp16")) {
      return settings.refuse("fp16", "'bf16' and 'fp16' are both true", "set one of them to false");
    }
    (later(settings, "fp16", "bf16") ? args.bf16 : args.fp16) = false;
  }
}

void replace_fp16(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (!args.fp16 || args.strict_precision) return;
  args.fp16 = false;
  args.bf16 = args.fp16_in_bf16 = true;
  settings.notes.emplace_back(
      "fp16 is slow on a CPU: this run computes in bf16, with fp16's loss scaling (set fp16 and bf16 to false for "
      "fp32, or strict_precision to true for fp16 itself)");
}

void settle_warmup(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (!settings.has("warmup_ratio")) return;
  if (!settings.has("warmup_steps") || args.warmup_steps == 0) {
    args.warmup_steps = 0;
    return;
  }
  if (args.warmup_ratio == 0) return;
  if (same_source(settings, "warmup_ratio", "warmup_steps")) {
    settings.refuse(
        "warmup_ratio",
        fmt::format(
            "'warmup_steps' ({}) and 'warmup_ratio' ({}) are two spellings of one setting with different values",
            args.warmup_steps, args.warmup_ratio),
        "keep one of them");
  } else if (later(settings, "warmup_ratio", "warmup_steps")) {
    args.warmup_steps = 0;
  } else {
    args.warmup_ratio = 0;
  }
}

/// What peft's prepare_model_for_kbit_training does, and what fp16 means on a CPU.
void settle_quantised(Settings& settings) {
  TrainingArguments& args = settings.args;
  args.use_lora = true;
  if (!settings.has("gradient_checkpointing")) {
    args.gradient_checkpointing = true;
    settings.notes.emplace_back(
        "gradient_checkpointing is true, as peft sets it for quantised weights (set it to false for speed where memory "
        "allows)");
  }
  if (args.bnb_4bit_compute_dtype == "float16" && !args.strict_precision) {
    args.bnb_4bit_compute_dtype = "bfloat16";
    settings.notes.emplace_back("bnb_4bit_compute_dtype: fp16 is slow on a CPU, products are worked out in bf16");
  }
}

void settle_adapter(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (args.quantization_bit != 4 && args.quantization_bit != 8) {
    settings.refuse("quantization_bit", fmt::format("{} is out of range", args.quantization_bit), "allowed: 4 | 8");
  }
  if (args.use_qlora) settle_quantised(settings);
  if (args.adapter_name_or_path && !args.use_lora) {
    if (settings.has("use_lora")) {
      settings.refuse("adapter_name_or_path", "'adapter_name_or_path' is given but 'use_lora' is false",
                      "set use_lora to true, or remove adapter_name_or_path");
    } else {
      args.use_lora = true;
      settings.notes.emplace_back("use_lora is true because adapter_name_or_path is given");
    }
  }
}

/// With LoRA+ the rates of a group are a multiple of the schedule's; schedules that set rates themselves know none.
void settle_loraplus(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (!uses_loraplus(args)) return;
  if (!settings.has("loraplus_weight_decay")) args.loraplus_weight_decay = args.weight_decay;
  const std::string& schedule = args.lr_scheduler_type;
  const bool of_groups = schedule != "reduce_lr_on_plateau" && std::islower(static_cast<unsigned char>(schedule[0]));
  if (!of_groups) {
    settings.refuse("loraplus_lr_ratio",
                    fmt::format("LoRA+ with the schedule {} is not part of this version", schedule),
                    "take another schedule, or leave loraplus_lr_ratio out");
  }
  if (args.decay_all_parameters) {
    settings.refuse("loraplus_lr_ratio", "LoRA+ with an optimizer block of DeepSpeed's, which has one group",
                    "leave the block out and set 'optim'");
  }
}

void settle_optimizer(Settings& settings) {
  const TrainingArguments& args = settings.args;
  settle_loraplus(settings);
  try {
    (void)optimizer_settings(args);
  } catch (const Error& error) {
    settings.refuse("optim_args", error.message(), error.hint());
  }
  if (is_paged(args)) {
    settings.notes.push_back(
        fmt::format("{}: on a CPU there is nothing to page, the optimizer's state lies in its memory", args.optim));
  }
}

void settle_sampling(Settings& settings) {
  TrainingArguments& args = settings.args;
  const std::string& strategy = args.train_sampling_strategy;
  if (!args.group_by_length || strategy == "group_by_length") return;
  if (same_source(settings, "group_by_length", "train_sampling_strategy")) {
    return settings.refuse("group_by_length",
                           fmt::format("'group_by_length' is true and 'train_sampling_strategy' \"{}\"", strategy),
                           "keep one of them");
  }
  if (later(settings, "group_by_length", "train_sampling_strategy")) args.train_sampling_strategy = "group_by_length";
}

void settle_what_needs_evaluations(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (args.lr_scheduler_type == "reduce_lr_on_plateau" && args.eval_strategy == "no") {
    settings.refuse("lr_scheduler_type",
                    "the schedule reduce_lr_on_plateau needs evaluations, and 'eval_strategy' is \"no\"",
                    "evaluate by steps or epochs, or take another schedule");
  }
  if (args.save_strategy == "best" && args.eval_strategy == "no") {
    settings.refuse("save_strategy", "'save_strategy' is \"best\" but 'eval_strategy' is \"no\", so nothing is saved",
                    "evaluate by steps or epochs, or save by them");
  }
  if (args.early_stopping_patience == 0 || args.eval_strategy != "no") return;
  settings.refuse("early_stopping_patience", "'early_stopping_patience' is given but 'eval_strategy' is \"no\"",
                  "evaluate by steps or epochs, or remove early_stopping_patience");
}

void settle_intervals(Settings& settings) {
  TrainingArguments& args = settings.args;
  const auto need = [&](const char* key, double value, const std::string& strategy, const char* strategy_key) {
    if (strategy == "steps" && value == 0) {
      settings.refuse(key, fmt::format("'{}' is 0 while '{}' is \"steps\"", key, strategy_key),
                      fmt::format("set {} to \"no\", or {} above 0", strategy_key, key));
    }
  };
  if (args.eval_steps < 0 || (args.eval_steps == 0 && args.eval_strategy == "steps"))
    args.eval_steps = args.logging_steps;
  need("logging_steps", args.logging_steps, args.logging_strategy, "logging_strategy");
  need("save_steps", args.save_steps, args.save_strategy, "save_strategy");
  need("eval_steps", args.eval_steps, args.eval_strategy, "eval_strategy");
}

/// A preset's own evaluation rows belong to its own training rows: with other ones given by key=value they are left out
/// where they are not there, rather than stop the run; and nobody who did so asked for an evaluation of all those rows.
void drop_evaluation_data_of_other_rows(Settings& settings) {
  TrainingArguments& args = settings.args;
  std::vector<std::string>& paths = args.eval_data_path;
  if (!later(settings, "data_path", "eval_data_path") || std::ranges::all_of(paths, file_exists)) return;
  settings.notes.push_back(fmt::format("eval_data_path {} is left out: it is not there, and data_path was given anew",
                                       fmt::join(paths, ", ")));
  paths.clear();
  if (args.eval_strategy == "no" || args.eval_split_ratio > 0 || later(settings, "eval_strategy", "eval_data_path")) {
    return;
  }
  args.eval_strategy = "no";
  settings.notes.emplace_back("nothing is evaluated (eval_data_path or eval_split_ratio would bring rows for it)");
}

void settle_evaluation_data(Settings& settings) {
  drop_evaluation_data_of_other_rows(settings);
  const TrainingArguments& args = settings.args;
  if (!evaluates(args) || !args.eval_data_path.empty() || args.eval_split_ratio > 0) return;
  settings.notes.emplace_back(
      "there is no eval_data_path: evaluation runs on the training rows themselves, so eval_loss says nothing of new "
      "text "
      "(eval_split_ratio holds rows out)");
}

/// save_steps must hit evaluations only, else the best step has no checkpoint. Shares are compared as shares.
bool is_multiple(double steps, double of) {
  const double ratio = steps / of;
  return std::abs(ratio - std::round(ratio)) < 1e-9 * std::max(1.0, ratio) && std::round(ratio) >= 1;
}

void settle_best_model(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (!args.load_best_model_at_end) return;
  const bool asked = settings.has("load_best_model_at_end");
  if (args.eval_strategy == "no") {
    args.load_best_model_at_end = false;
    if (asked) {
      settings.notes.emplace_back(
          "load_best_model_at_end is disabled: eval_strategy is \"no\", so no step is ever the best one");
    }
    return;
  }
  std::string conflict;
  if (args.save_strategy == "best") return;
  if (args.save_strategy != args.eval_strategy) {
    conflict = fmt::format(
        "'load_best_model_at_end' needs equal strategies, but 'eval_strategy' is \"{}\" and 'save_strategy' \"{}\"",
        args.eval_strategy, args.save_strategy);
  } else if (args.save_strategy == "steps" && args.eval_steps > 0 && !is_multiple(args.save_steps, args.eval_steps)) {
    conflict = fmt::format("'load_best_model_at_end' needs 'save_steps' ({}) to be a multiple of 'eval_steps' ({})",
                           args.save_steps, args.eval_steps);
  }
  if (conflict.empty()) return;
  if (asked) {
    settings.refuse("load_best_model_at_end", conflict, "make them agree, or set load_best_model_at_end to false");
  } else {
    args.load_best_model_at_end = false;
    settings.notes.push_back(conflict + "; it is not set, so the last weights are kept");
  }
}

void check_rounding(Settings& settings) {
  const TrainingArguments& args = settings.args;
  if (!args.bf16_stochastic_rounding) return;
  const auto refuse = [&](const std::string& what, const char* hint) {
    settings.refuse("bf16_stochastic_rounding", "'bf16_stochastic_rounding' is true but " + what, hint);
  };
  if (args.use_lora) return refuse("an adapter trains, whose file holds fp32", "leave it out, or train all weights");
  if (!args.bf16) return refuse("the run computes in fp32", "set bf16 to true, or leave it out");
  if (args.adam_decays_gradient) {
    return refuse(
        "the DeepSpeed configuration asks for Adam with 'adam_w_mode' false, whose updates are not rounded that way",
        "take AdamW there, or leave it out");
  }
  if (is_adamw(args)) return;
  refuse(fmt::format("'optim' is \"{}\", whose updates are not rounded that way", args.optim),
         "take \"adamw_torch\", or leave it out");
}

void need_data(Settings& settings) {
  if (!settings.args.config_file.empty() && settings.args.data_path.empty()) {
    settings.problems.emplace_back(ErrorKind::kConfig, "there is no training data: 'data_path' is not set",
                                   Where{.file = settings.args.config_file, .line = 0, .key = "data_path"},
                                   "name one or more files of rows");
  }
}

}  // namespace

void check_together(Settings& settings) {
  need_data(settings);
  settle_precision(settings);
  settle_deepspeed(settings);
  replace_fp16(settings);
  settle_warmup(settings);
  settle_adapter(settings);
  settle_optimizer(settings);
  settle_intervals(settings);
  settle_sampling(settings);
  settle_evaluation_data(settings);
  settle_what_needs_evaluations(settings);
  settle_best_model(settings);
  check_rounding(settings);
}

void note_without_effect(Settings& settings) {
  std::vector<std::string> all;
  visit_fields(settings.args, [&](const Field& field, const auto&) {
    const auto given = settings.given.find(field.name);
    if (given == settings.given.end() || field.unused == nullptr || !field.unused(settings.args)) return;
    all.push_back(fmt::format("{} ({})", given->second.spelled, field.unused_when));
  });
  all.insert(all.end(), settings.without_effect.begin(), settings.without_effect.end());
  if (!all.empty()) settings.notes.push_back(fmt::format("without effect: {}", fmt::join(all, ", ")));
}

}  // namespace lathe
