#pragma once
// The settings of a run. Plain data: names, defaults, ranges and documentation stand in one table (config/fields.h).
// Names are those of transformers' TrainingArguments, of the toolkit's flat JSON, or of contract keys in
// docs/config.md.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct TrainingArguments {
  // Model
  std::string model_name_or_path = "Qwen/Qwen2.5-0.5B-Instruct";
  std::optional<std::string> cache_dir;
  std::optional<std::string> adapter_name_or_path;
  bool init_from_scratch = false;
  std::string attn_implementation = "auto";

  // Data
  std::vector<std::string> data_path;
  std::vector<std::string> eval_data_path;
  double eval_split_ratio = 0;
  int64_t max_seq_length = 2048;
  bool packing = false;
  std::string template_name = "toolkit";  ///< key "template"
  std::optional<bool> enable_thinking;
  std::string truncation_side = "right";
  std::string overlong = "error_if_no_label";
  std::string on_bad_row = "error";
  bool overwrite_cache = false;
  bool show_sample = true;
  bool profile = false;
  bool use_cpu = false;

  // Adapter
  bool use_lora = false;
  bool use_qlora = false;
  int64_t quantization_bit = 4;
  std::string bnb_4bit_quant_type = "nf4";
  bool bnb_4bit_use_double_quant = true;
  std::optional<std::string> bnb_4bit_compute_dtype;  ///< null: the run's precision
  int64_t lora_r = 64;
  double lora_alpha = 16;
  double lora_dropout = 0.1;
  std::optional<std::string> lora_target_modules = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<std::string> modules_to_save;
  bool ensure_weight_tying = false;

  // Steps
  double num_train_epochs = 3;
  int64_t max_steps = -1;
  int64_t per_device_train_batch_size = 2;
  int64_t per_device_eval_batch_size = 2;
  int64_t gradient_accumulation_steps = 8;
  uint64_t seed = 42;
  std::optional<uint64_t> data_seed;
  bool dataloader_drop_last = false;
  std::string train_sampling_strategy = "random";
  bool group_by_length = false;  ///< transformers 4's spelling of train_sampling_strategy "group_by_length"
  int64_t dataloader_num_workers = 4;
  std::optional<std::string> max_time;  ///< "hh:mm:ss"

  // Optimizer and schedule
  std::string optim = "adamw_torch";
  std::optional<std::string> optim_args;
  double learning_rate = 2e-5;
  double weight_decay = 0;
  double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;
  double loraplus_lr_ratio = 0;  ///< 0: no LoRA+
  double loraplus_weight_decay = 0;
  double max_grad_norm = 1;
  std::string lr_scheduler_type = "cosine";
  std::string lr_scheduler_kwargs = "{}";  ///< JSON object as text
  double warmup_steps = 100;               ///< below 1: a ratio (transformers 5)
  double warmup_ratio = 0;
  double label_smoothing_factor = 0;
  double neftune_noise_alpha = 0;

  // Precision and memory
  bool bf16 = false;
  bool fp16 = true;
  bool strict_precision = false;
  bool bf16_stochastic_rounding = false;
  bool gradient_checkpointing = false;
  std::string gradient_checkpointing_scope = "layer";

  // Logging, evaluation, saving
  std::string output_dir = "./output_qwen";
  bool overwrite_output_dir = true;
  std::string logging_strategy = "steps";
  double logging_steps = 10;  ///< below 1: a share of all steps
  bool logging_first_step = false;
  std::string eval_strategy = "no";
  double eval_steps = 500;
  bool eval_on_start = false;
  double eval_delay = 0;
  int64_t early_stopping_patience = 0;  ///< 0: off
  double early_stopping_threshold = 0;
  std::string save_strategy = "steps";
  double save_steps = 500;
  int64_t save_total_limit = 3;  ///< 0: all
  bool save_only_model = false;
  bool load_best_model_at_end = true;
  std::string metric_for_best_model = "eval_loss";
  bool greater_is_better = false;
  std::optional<std::string> resume_from_checkpoint;  ///< a path, or "true"
  std::vector<std::string> report_to = {"tensorboard"};
  std::string logging_dir;  ///< "": output_dir/runs/<date>_<host>
  bool disable_tqdm = false;

  // DeepSpeed backend (on one rank: its mathematics; more ranks come with the engine)
  bool use_deepspeed = false;
  int64_t deepspeed_stage = 2;
  bool cpu_offload = false;
  std::optional<std::string> deepspeed;  ///< path of the user's own JSON

  // Settled from the others (config/checks), no keys of their own
  bool fp16_in_bf16 = false;          ///< fp16 was asked for and bf16 takes its place: loss scaling goes on
  bool decay_all_parameters = false;  ///< a DeepSpeed optimizer block knows no groups without decay
  bool adam_decays_gradient = false;  ///< a DeepSpeed block's Adam with adam_w_mode false
  std::string deepspeed_config;       ///< the DeepSpeed JSON; "": none

  // Where the settings came from, for messages and for training_args.json
  std::string config_file;
};

/// Whether a run evaluates at all.
[[nodiscard]] inline bool evaluates(const TrainingArguments& args) {
  return args.eval_strategy != "no" || args.eval_on_start;
}

}  // namespace lathe
