#include "config/fields.h"

#include <algorithm>
#include <string>

#include "config/optimizers.h"

namespace lathe {
namespace {

using T = TrainingArguments;

// Far beyond every run that ends; what the plan multiplies stays below 2^63 bytes for the largest models.
constexpr double kMostTokens = 1 << 20;
constexpr double kMostRows = 1 << 14;
constexpr double kMostMicroBatches = 1 << 20;
constexpr double kHighestRank = 1 << 20;
constexpr double kMostEpochs = 1e6;
constexpr double kMostWorkers = 1 << 10;

bool no_adapter(const T& args) {
  return !args.use_lora && !args.use_qlora;
}
bool no_loraplus(const T& args) {
  return args.loraplus_lr_ratio == 0;
}
bool no_four_bits(const T& args) {
  return !args.use_qlora || args.quantization_bit != 4;
}
bool no_deepspeed(const T& args) {
  return !args.use_deepspeed;
}
constexpr const char* kNotRead = "the optimizer has none";
bool no_betas(const T& args) {
  return !reads_adam_betas(args);
}
bool no_epsilon(const T& args) {
  return !reads_adam_epsilon(args);
}
bool has_loraplus_decay(const T& args) {
  return uses_loraplus(args) && args.loraplus_weight_decay != args.weight_decay;
}
bool packs(const T& args) {
  return args.packing;
}
bool no_early_stopping(const T& args) {
  return args.early_stopping_patience == 0;
}
bool no_eval(const T& args) {
  return args.eval_strategy == "no";
}

FieldGroup model_fields() {
  return {"Model",
          {
              Field("model_name_or_path", &T::model_name_or_path, "folder of the base model, or its name on the hub")
                  .also({"model"}),
              Field("cache_dir", &T::cache_dir, "folder that is searched first for models, and that downloads go to"),
              Field("adapter_name_or_path", &T::adapter_name_or_path,
                    "start from the weights of this adapter (peft's files); a new run, not a resumed one"),
              Field("init_from_scratch", &T::init_from_scratch, "random weights from the model's config.json"),
              Field("attn_implementation", &T::attn_implementation,
                    "accepted for compatibility: there is one attention, exact like each of these")
                  .one_of({"auto", "eager", "sdpa", "flash_attention_2"}),
          }};
}

FieldGroup data_fields() {
  return {"Data",
          {
              Field("data_path", &T::data_path, "files of training rows, read in this order")
                  .also({"dataset", "train_file"})
                  .written_as(FieldForm::kPaths),
              Field("eval_data_path", &T::eval_data_path, "files of rows to evaluate on").written_as(FieldForm::kPaths),
              Field("eval_split_ratio", &T::eval_split_ratio,
                    "share of the training rows that is held out when there is no eval_data_path")
                  .also({"val_size"})
                  .at_least(0)
                  .below(1)
                  .idle("eval_data_path is given", [](const T& args) { return !args.eval_data_path.empty(); }),
              Field("max_seq_length", &T::max_seq_length, "longest row, in tokens")
                  .also({"cutoff_len", "max_length", "sequence_len"})
                  .at_least(2)
                  .at_most(kMostTokens),
              Field("packing", &T::packing,
                    "put rows together into packs of at most max_seq_length tokens, which the batch size then counts; "
                    "false: the rows of a batch are laid end to end, same mathematics as padding"),
              Field("template", &T::template_name, "prompt text: the toolkit's own, or the tokenizer's chat template")
                  .one_of({"toolkit", "chat"}),
              Field("enable_thinking", &T::enable_thinking, "think blocks in chat templates that have them (Qwen3)")
                  .idle("template is \"toolkit\"", [](const T& args) { return args.template_name == "toolkit"; }),
              Field("truncation_side", &T::truncation_side, "which end of a row longer than max_seq_length is cut")
                  .one_of({"right", "left"}),
              Field("overlong", &T::overlong, "what becomes of rows longer than max_seq_length")
                  .one_of({"truncate", "drop", "error", "error_if_no_label"}),
              Field("on_bad_row", &T::on_bad_row,
                    "a row that cannot be read stops the run, or is skipped, counted and listed")
                  .one_of({"error", "skip"}),
              Field("overwrite_cache", &T::overwrite_cache,
                    "tokenise the rows again even when an earlier run left their tokens (docs/data.md)"),
              Field("show_sample", &T::show_sample, "show the first row as the model sees it"),
          }};
}

FieldGroup adapter_fields() {
  return {
      "Adapter",
      {
          Field("use_lora", &T::use_lora, "train a LoRA adapter over frozen weights"),
          Field("use_qlora", &T::use_qlora, "LoRA over quantised frozen weights"),
          Field("quantization_bit", &T::quantization_bit, "bits of the quantised weights, 4 or 8")
              .at_least(4)
              .at_most(8)
              .idle("use_qlora is false", [](const T& args) { return !args.use_qlora; }),
          Field("bnb_4bit_quant_type", &T::bnb_4bit_quant_type, "what the 16 codes of a 4-bit weight stand for")
              .one_of({"nf4", "fp4"})
              .idle("weights are not quantised to 4 bits", no_four_bits),
          Field("bnb_4bit_use_double_quant", &T::bnb_4bit_use_double_quant,
                "hold the scales of 4-bit weights in 8 bits themselves")
              .idle("weights are not quantised to 4 bits", no_four_bits),
          Field("bnb_4bit_compute_dtype", &T::bnb_4bit_compute_dtype,
                "type of the products with 4-bit weights; null: the run's precision")
              .one_of({"float32", "bfloat16", "float16"})
              .idle("weights are not quantised to 4 bits", no_four_bits),
          Field("lora_r", &T::lora_r, "rank of the adapter")
              .also({"lora_rank"})
              .at_least(1)
              .at_most(kHighestRank)
              .idle("use_lora is false", no_adapter),
          Field("lora_alpha", &T::lora_alpha, "the adapter's output is scaled by lora_alpha / lora_r")
              .above(0)
              .idle("use_lora is false", no_adapter),
          Field("lora_dropout", &T::lora_dropout, "dropout on the adapter's input")
              .at_least(0)
              .below(1)
              .idle("use_lora is false", no_adapter),
          Field("lora_target_modules", &T::lora_target_modules,
                "modules that get an adapter: names, a regular expression over full names, or \"all-linear\" (null and "
                "\"all\" mean the same)")
              .also({"lora_target", "target_modules"})
              .written_as(FieldForm::kModules)
              .idle("use_lora is false", no_adapter),
          Field("use_rslora", &T::use_rslora, "scale by lora_alpha / sqrt(lora_r)")
              .idle("use_lora is false", no_adapter),
          Field("use_dora", &T::use_dora,
                "DoRA: weight and adapter give the direction, a vector that trains gives each output's magnitude")
              .idle("use_lora is false", no_adapter),
          Field("modules_to_save", &T::modules_to_save,
                "modules that train whole beside the adapter and are saved with it, e.g. \"embed_tokens,lm_head\"; a "
                "name is the end of a module's full name, so \"norm\" is every norm (docs/adapters.md)")
              .also({"additional_target"})
              .idle("use_lora is false", no_adapter),
          Field("ensure_weight_tying", &T::ensure_weight_tying,
                "tied embeddings named in modules_to_save stay one matrix; false, as in peft: a copy of one trains and "
                "the other stays as it was")
              .idle("use_lora is false, or modules_to_save is empty",
                    [](const T& args) { return no_adapter(args) || args.modules_to_save.empty(); }),
      }};
}

FieldGroup step_fields() {
  return {"Steps",
          {
              Field("num_train_epochs", &T::num_train_epochs, "passes over the data; may be a fraction")
                  .above(0)
                  .at_most(kMostEpochs)
                  .idle("max_steps is given", [](const T& args) { return args.max_steps > 0; }),
              Field("max_steps", &T::max_steps, "updates in all; -1: as many as num_train_epochs needs")
                  .at_least(-1)
                  .at_most(kMostSteps),
              Field("per_device_train_batch_size", &T::per_device_train_batch_size, "rows a micro-batch")
                  .also({"per_gpu_train_batch_size"})
                  .at_least(1)
                  .at_most(kMostRows),
              Field("per_device_eval_batch_size", &T::per_device_eval_batch_size, "rows a batch of evaluation")
                  .also({"per_gpu_eval_batch_size"})
                  .at_least(1)
                  .at_most(kMostRows),
              Field("gradient_accumulation_steps", &T::gradient_accumulation_steps, "micro-batches an update")
                  .at_least(1)
                  .at_most(kMostMicroBatches),
              Field("seed", &T::seed, "of the adapter's first values, the row order and dropout")
                  .at_most(9007199254740991.0),
              Field("data_seed", &T::data_seed, "of the row order alone; null: seed").at_most(9007199254740991.0),
              Field("dataloader_drop_last", &T::dataloader_drop_last,
                    "leave out an epoch's last rows when they do not fill a micro-batch"),
              Field("train_sampling_strategy", &T::train_sampling_strategy,
                    "order of the rows; group_by_length brings rows of like length together, the longest first")
                  .one_of({"random", "sequential", "group_by_length"})
                  .idle("packing is true", packs),
              Field("group_by_length", &T::group_by_length, "the same as train_sampling_strategy \"group_by_length\"")
                  .idle("packing is true", packs),
              Field("dataloader_num_workers", &T::dataloader_num_workers,
                    "threads that make the next updates' batches ready; 0: the training thread does")
                  .at_least(0)
                  .at_most(kMostWorkers),
              Field("max_time", &T::max_time, "save and leave before this much time has passed, \"hh:mm:ss\"")
                  .written_as(FieldForm::kDuration),
          }};
}

FieldGroup optimizer_fields() {
  return {
      "Optimizer and schedule",
      {
          Field("optim", &T::optim, "the optimizer (docs/presets.md)")
              .one_of(optimizer_names())
              .elsewhere(foreign_optimizer_advice),
          Field("optim_args", &T::optim_args,
                "more arguments of the optimizer, \"key=value, key=value\": sgd takes momentum, dampening, "
                "nesterov; adagrad lr_decay, eps; rmsprop momentum, alpha, eps, centered; ademamix beta1, beta2, "
                "beta3, alpha, eps, t_alpha, t_beta3"),
          Field("learning_rate", &T::learning_rate, "highest learning rate").at_least(0),
          Field("weight_decay", &T::weight_decay,
                "share of the weights that is taken from them (AdamW, AdEMAMix, Lion, Adafactor) or added to the "
                "gradient "
                "(the others), not on biases and norms")
              .at_least(0)
              .idle("loraplus_weight_decay takes its place", has_loraplus_decay),
          Field("adam_beta1", &T::adam_beta1, "decay of the gradient's mean")
              .at_least(0)
              .below(1)
              .idle(kNotRead, no_betas),
          Field("adam_beta2", &T::adam_beta2, "decay of the gradient's square")
              .at_least(0)
              .below(1)
              .idle(kNotRead, no_betas),
          Field("adam_epsilon", &T::adam_epsilon, "added to the denominator").at_least(0).idle(kNotRead, no_epsilon),
          Field("loraplus_lr_ratio", &T::loraplus_lr_ratio,
                "LoRA+: the adapters' B learn at so many times the learning rate; 0: at the same")
              .at_least(0)
              .null_is(0)
              .idle("use_lora is false", no_adapter),
          Field("loraplus_weight_decay", &T::loraplus_weight_decay,
                "weight decay with LoRA+; where it is not given, weight_decay")
              .at_least(0)
              .idle("loraplus_lr_ratio is 0", no_loraplus),
          Field("max_grad_norm", &T::max_grad_norm, "longest gradient, over all parameters; 0: no clipping")
              .at_least(0)
              .null_is(0),
          Field("lr_scheduler_type", &T::lr_scheduler_type, "course of the learning rate after warm-up")
              .one_of({"linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
                       "inverse_sqrt", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay",
                       "reduce_lr_on_plateau", "WarmupLR", "WarmupDecayLR", "WarmupCosineLR", "OneCycle",
                       "LRRangeTest"}),
          Field("lr_scheduler_kwargs", &T::lr_scheduler_kwargs,
                "more arguments of the schedule, as transformers takes them")
              .written_as(FieldForm::kObject),
          Field("warmup_steps", &T::warmup_steps,
                "updates until the highest learning rate; below 1: a share of all updates")
              .steps_or_share(),
          Field("warmup_ratio", &T::warmup_ratio, "warm-up as a share of all updates, in place of warmup_steps")
              .at_least(0)
              .at_most(1),
          Field("neftune_noise_alpha", &T::neftune_noise_alpha,
                "noise on the embeddings in training (NEFTune): at most alpha / sqrt(longest row · hidden size)")
              .at_least(0)
              .null_is(0),
          Field("label_smoothing_factor", &T::label_smoothing_factor,
                "share of the target that is spread over the vocabulary")
              .at_least(0)
              .below(1),
      }};
}

FieldGroup precision_fields() {
  return {"Precision and memory",
          {
              Field("bf16", &T::bf16, "compute in bf16; what trains has fp32 masters"),
              Field("fp16", &T::fp16,
                    "compute in fp16; on a CPU bf16 takes its place, and that is said; fp32: bf16 and fp16 both false"),
              Field("strict_precision", &T::strict_precision, "fp16 means fp16 on a CPU too"),
              Field("bf16_stochastic_rounding", &T::bf16_stochastic_rounding,
                    "train all weights in bf16 without fp32 masters; a draw rounds each update (docs/numerics.md)"),
              Field("gradient_checkpointing", &T::gradient_checkpointing,
                    "keep less from forward to backward and compute it again: memory for time")
                  .also({"activation_checkpointing"})
                  .null_is(0),
              Field("gradient_checkpointing_scope", &T::gradient_checkpointing_scope,
                    "what gradient_checkpointing computes again: all but each layer's input, the MLP's gate and up "
                    "(most of what a layer keeps), or q, k, v and the attention")
                  .one_of({"layer", "mlp", "attention"})
                  .idle("gradient_checkpointing is false", [](const T& args) { return !args.gradient_checkpointing; }),
          }};
}

FieldGroup logging_fields() {
  return {
      "Logging",
      {
          Field("logging_strategy", &T::logging_strategy, "when the loss is logged").one_of({"no", "steps", "epoch"}),
          Field("logging_steps", &T::logging_steps, "updates between two log lines; below 1: a share of all updates")
              .steps_or_share()
              .idle("logging_strategy is not \"steps\"",
                    [](const T& args) { return args.logging_strategy != "steps"; }),
          Field("logging_first_step", &T::logging_first_step, "log the first update too"),
          Field("logging_dir", &T::logging_dir, "folder of the TensorBoard events; \"\": output_dir/runs/DATE_HOST")
              .null_is(0),
          Field("report_to", &T::report_to, "\"tensorboard\" or \"none\"").written_as(FieldForm::kReports),
          Field("disable_tqdm", &T::disable_tqdm, "plain lines in place of the progress bar").null_is(0),
          Field("profile", &T::profile, "print at the end where the time went, by op and by layer"),
          Field("use_cpu", &T::use_cpu, "train on the CPU even where there is a GPU (docs/cuda.md)").also({"no_cuda"}),
      }};
}

FieldGroup evaluation_fields() {
  return {"Evaluation",
          {
              Field("eval_strategy", &T::eval_strategy, "when to evaluate")
                  .also({"evaluation_strategy"})
                  .one_of({"no", "steps", "epoch"}),
              Field("eval_steps", &T::eval_steps,
                    "updates between two evaluations; below 1: a share of all updates; null: logging_steps")
                  .steps_or_share()
                  .null_is(-1)
                  .idle("eval_strategy is not \"steps\"", [](const T& args) { return args.eval_strategy != "steps"; }),
              Field("eval_on_start", &T::eval_on_start, "evaluate before the first update too"),
              Field("eval_delay", &T::eval_delay,
                    "no evaluation before this many updates (epochs, where eval_strategy is \"epoch\")")
                  .at_least(0)
                  .null_is(0)
                  .idle("eval_strategy is \"no\"", no_eval),
              Field("early_stopping_patience", &T::early_stopping_patience,
                    "stop after this many evaluations in a row that are no better than the best one; 0: never")
                  .at_least(0)
                  .null_is(0),
              Field("early_stopping_threshold", &T::early_stopping_threshold,
                    "by how much an evaluation has to be better to count")
                  .at_least(0)
                  .null_is(0)
                  .idle("early_stopping_patience is 0", no_early_stopping),
              Field("load_best_model_at_end", &T::load_best_model_at_end,
                    "end with the weights of the best evaluation, not the last"),
              Field("metric_for_best_model", &T::metric_for_best_model, "what \"best\" is measured by")
                  .one_of({"eval_loss", "loss"})
                  .null_is(0),
              Field("greater_is_better", &T::greater_is_better, "whether a larger metric is a better one").null_is(0),
          }};
}

FieldGroup saving_fields() {
  return {"Output and saving",
          {
              Field("output_dir", &T::output_dir, "folder of everything that a run leaves"),
              Field("overwrite_output_dir", &T::overwrite_output_dir,
                    "another run's results in output_dir are renamed aside; false: that is an error"),
              Field("save_strategy", &T::save_strategy,
                    "when to write a checkpoint; best: after each evaluation that is the best one so far")
                  .one_of({"no", "steps", "epoch", "best"}),
              Field("save_steps", &T::save_steps, "updates between two checkpoints; below 1: a share of all updates")
                  .steps_or_share()
                  .idle("save_strategy is not \"steps\"", [](const T& args) { return args.save_strategy != "steps"; }),
              Field("save_total_limit", &T::save_total_limit, "checkpoints that are kept; 0 and null: all")
                  .at_least(0)
                  .null_is(0),
              Field("save_only_model", &T::save_only_model,
                    "checkpoints without optimizer state; they cannot be resumed from"),
              Field("resume_from_checkpoint", &T::resume_from_checkpoint,
                    "a checkpoint's folder; true: the newest whole one of output_dir")
                  .written_as(FieldForm::kFlagOrPath),
          }};
}

FieldGroup deepspeed_fields() {
  return {
      "DeepSpeed backend",
      {
          Field("use_deepspeed", &T::use_deepspeed,
                "train as DeepSpeed does; on one rank that is its mathematics, as there is nothing to partition"),
          Field("deepspeed_stage", &T::deepspeed_stage, "ZeRO stage; 0: without ZeRO")
              .at_least(0)
              .at_most(3)
              .idle("use_deepspeed is false", no_deepspeed),
          Field("cpu_offload", &T::cpu_offload, "optimizer state in the CPU's memory, where it already lies on a CPU")
              .idle("use_deepspeed is false", no_deepspeed),
          Field("deepspeed", &T::deepspeed,
                "a DeepSpeed JSON of your own (a path, or the object itself); sets use_deepspeed")
              .written_as(FieldForm::kPathOrObject),
      }};
}

}  // namespace

const std::vector<FieldGroup>& field_groups() {
  static const std::vector<FieldGroup> groups = {
      model_fields(),     data_fields(),    adapter_fields(),    step_fields(),   optimizer_fields(),
      precision_fields(), logging_fields(), evaluation_fields(), saving_fields(), deepspeed_fields()};
  return groups;
}

const Field* find_field(std::string_view name) {
  for (const FieldGroup& group : field_groups()) {
    for (const Field& field : group.fields) {
      const auto& aliases = field.aliases;
      if (field.name == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end()) return &field;
    }
  }
  return nullptr;
}

}  // namespace lathe
