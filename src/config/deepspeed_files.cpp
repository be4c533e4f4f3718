// The DeepSpeed JSON that Lathe writes: the one it makes itself, and either one with every "auto" filled in.
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/deepspeed.h"
#include "config/optimizers.h"

namespace lathe {
namespace {

void fill(Json& json, const char* section, const char* key, const Json& value) {
  if (!json.contains(section) || !json[section].is_object() || !json[section].contains(key)) return;
  if (json[section][key] == "auto") json[section][key] = value;
}

}  // namespace

Json generated_deepspeed_config(const TrainingArguments& args) {
  const bool stage3 = args.deepspeed_stage == 3;
  Json json;
  json["bf16"] = {{"enabled", args.bf16}};
  json["fp16"] = {{"enabled", args.fp16},      {"loss_scale", 0}, {"loss_scale_window", 1000},
                  {"initial_scale_power", 16}, {"hysteresis", 2}, {"min_loss_scale", 1}};
  if (is_adamw(args) && !uses_loraplus(args)) {
    json["optimizer"] = {{"type", "AdamW"},
                         {"params",
                          {{"lr", args.learning_rate},
                           {"betas", {args.adam_beta1, args.adam_beta2}},
                           {"eps", args.adam_epsilon},
                           {"weight_decay", args.weight_decay}}}};
  } else {
    json["zero_allow_untested_optimizer"] = true;  // the trainer brings its own
  }
  json["zero_optimization"] = {{"stage", args.deepspeed_stage},
                               {"offload_optimizer", {{"device", stage3 || args.cpu_offload ? "cpu" : "none"}}},
                               {"offload_param", {{"device", stage3 ? "cpu" : "none"}}},
                               {"overlap_comm", true},
                               {"contiguous_gradients", true},
                               {"sub_group_size", 1000000000},
                               {"reduce_bucket_size", "auto"},
                               {"stage3_prefetch_bucket_size", "auto"},
                               {"stage3_param_persistence_threshold", "auto"},
                               {"stage3_max_live_parameters", 1000000000},
                               {"stage3_max_reuse_distance", 1000000000},
                               {"gather_16bit_weights_on_model_save", true}};
  json["gradient_accumulation_steps"] = args.gradient_accumulation_steps;
  json["gradient_clipping"] = args.max_grad_norm;
  json["steps_per_print"] = std::max<int64_t>(1, static_cast<int64_t>(args.logging_steps));
  json["train_batch_size"] = args.per_device_train_batch_size * args.gradient_accumulation_steps;
  json["train_micro_batch_size_per_gpu"] = args.per_device_train_batch_size;
  json["wall_clock_breakdown"] = false;
  return json;
}

Json filled_deepspeed_config(const TrainingArguments& args, int64_t total_steps, int64_t warmup_steps,
                             int64_t hidden_size) {
  Json json = parse_json(args.deepspeed_config, "deepspeed_config.json");
  const int64_t square = hidden_size * hidden_size;
  fill(json, "zero_optimization", "reduce_bucket_size", square);
  fill(json, "zero_optimization", "stage3_prefetch_bucket_size", square * 9 / 10);
  fill(json, "zero_optimization", "stage3_param_persistence_threshold", 10 * hidden_size);
  if (!json.contains("scheduler") || !json["scheduler"].contains("params")) return json;
  Json& scheduler = json["scheduler"];
  fill(scheduler, "params", "warmup_num_steps", std::max<int64_t>(1, warmup_steps));
  fill(scheduler, "params", "total_num_steps", total_steps);
  const Json total = scheduler["params"].value("total_num_steps", Json(total_steps));
  if (total != total_steps) {
    throw Error(
        ErrorKind::kConfig,
        fmt::format("'scheduler.params.total_num_steps' ({}) of the DeepSpeed configuration contradicts the run's "
                    "{} updates (max_steps, num_train_epochs)",
                    dump_json(total), total_steps),
        {.file = "", .line = 0, .key = "deepspeed"}, "write \"total_num_steps\": \"auto\" there");
  }
  return json;
}

}  // namespace lathe
