#include "config/foreign_keys.h"

#include <algorithm>
#include <string>

namespace lathe {
namespace {

constexpr const char* kNoHub = "nothing is uploaded by Lathe: remove the key and upload output_dir afterwards";
constexpr const char* kOneDevice = "this version trains on one device with one process: remove the key";
constexpr const char* kOwnKernels = "Lathe brings its own compiled kernels: remove the key";
constexpr const char* kFullLinear =
    "adapters here are plain LoRA with peft's first values and without biases: remove the key";
constexpr const char* kOnlyLoss = "evaluation measures the loss alone";
constexpr const char* kNoLoader = "rows are made ready before training, there are no loader processes";

void append(std::vector<ForeignKey>& all, std::initializer_list<ForeignKey> more) {
  all.insert(all.end(), more);
}

void add_data_and_evaluation(std::vector<ForeignKey>& all) {
  append(all, {
                  {"dataloader_pin_memory", "*", kNoLoader},
                  {"dataloader_persistent_workers", "*", kNoLoader},
                  {"dataloader_prefetch_factor", "*", kNoLoader},
                  {"dataloader_in_order", "*", kNoLoader},
                  {"dataloader_multiprocessing_context", "*", kNoLoader},
                  {"remove_unused_columns", "*", "only the fields of the row formats are read"},
                  {"label_names", "null [] [\"labels\"]", "labels are made from the rows: remove the key"},
                  {"length_column_name", "*", "a row is as long as its tokens are many"},
                  {"auto_find_batch_size", "false", "set per_device_train_batch_size; `lathe plan` says what fits"},
                  {"do_train", "*", "the command decides: `lathe train`"},
                  {"do_eval", "*", "eval_strategy decides whether a run evaluates"},
                  {"do_predict", "*", "eval_strategy and eval_on_start decide when a run evaluates"},
                  {"prediction_loss_only", "*", kOnlyLoss},
                  {"eval_accumulation_steps", "*", kOnlyLoss},
                  {"eval_do_concat_batches", "*", kOnlyLoss},
                  {"eval_use_gather_object", "*", kOnlyLoss},
                  {"batch_eval_metrics", "*", kOnlyLoss},
                  {"include_for_metrics", "null []", "evaluation measures the loss alone: remove the key"},
                  {"include_inputs_for_metrics", "false", "evaluation measures the loss alone: remove the key"},
                  {"past_index", "-1", "these models have no memory between batches: remove the key"},
                  {"ignore_data_skip", "false", "a resumed run goes on with the rows that come next: remove the key"},
              });
}

void add_optimizer_and_precision(std::vector<ForeignKey>& all) {
  append(all, {
                  {"optim_target_modules", "null", "every trained parameter is updated by optim: remove the key"},
                  {"adafactor", "false", "use \"optim\": \"adafactor\""},
                  {"average_tokens_across_devices", "*",
                   "the loss is always the mean over all supervised tokens of an update"},
                  {"bf16_full_eval", "false", "evaluation uses the precision of training: remove the key"},
                  {"fp16_full_eval", "false", "evaluation uses the precision of training: remove the key"},
                  {"fp16_opt_level", "\"O1\" null", "there are no Apex levels here: remove the key"},
                  {"fp16_backend", "\"auto\"", "precision is Lathe's own work: remove the key"},
                  {"half_precision_backend", "\"auto\"", "precision is Lathe's own work: remove the key"},
                  {"tf32", "*", "matters on NVIDIA GPUs alone"},
                  {"gradient_checkpointing_kwargs", "null {} {\"use_reentrant\":true} {\"use_reentrant\":false}",
                   "gradient_checkpointing keeps each layer's input: remove the key"},
                  {"activation_checkpointing_kwargs", "null {} {\"use_reentrant\":true} {\"use_reentrant\":false}",
                   "gradient_checkpointing keeps each layer's input: remove the key"},
                  {"full_determinism", "*", "runs are always deterministic"},
                  {"torch_empty_cache_steps", "*", "the memory of a step is given back as it goes"},
                  {"use_cache", "*", "training keeps no key/value cache"},
                  {"use_liger_kernel", "false", kOwnKernels},
                  {"liger_kernel_config", "null {}", kOwnKernels},
                  {"torch_compile", "false", kOwnKernels},
                  {"torch_compile_backend", "null", kOwnKernels},
                  {"torch_compile_mode", "null", kOwnKernels},
                  {"torchdynamo", "null", kOwnKernels},
                  {"jit_mode_eval", "false", kOwnKernels},
                  {"use_ipex", "false", kOwnKernels},
              });
}

void add_devices(std::vector<ForeignKey>& all) {
  append(all, {
                  {"use_mps_device", "false", kOneDevice},
                  {"tpu_num_cores", "null", kOneDevice},
                  {"tpu_metrics_debug", "false", kOneDevice},
                  {"tp_size", "0 1 null", kOneDevice},
                  {"parallelism_config", "null", kOneDevice},
                  {"fsdp", "null \"\" [] false", kOneDevice},
                  {"fsdp_config", "null {}", kOneDevice},
                  {"fsdp_min_num_params", "0", kOneDevice},
                  {"fsdp_transformer_layer_cls_to_wrap", "null", kOneDevice},
                  {"mp_parameters", "\"\"", kOneDevice},
                  {"ddp_backend", "*", "one process has nobody to talk to"},
                  {"ddp_broadcast_buffers", "*", "one process has nobody to talk to"},
                  {"ddp_bucket_cap_mb", "*", "one process has nobody to talk to"},
                  {"ddp_find_unused_parameters", "*", "one process has nobody to talk to"},
                  {"ddp_static_graph", "*", "one process has nobody to talk to"},
                  {"ddp_timeout", "*", "one process has nobody to talk to"},
                  {"local_rank", "-1 0", kOneDevice},
                  {"accelerator_config", "null {}", "its switches have no counterpart here: remove the key"},
                  {"ray_scope", "\"last\" null", "there is no hyperparameter search: remove the key"},
                  {"use_legacy_prediction_loop", "false", "there is one evaluation loop: remove the key"},
                  {"zero_offload_dir", "null \"\"", "offload to disk is not part of this version: remove the key"},
              });
}

void add_logging_and_saving(std::vector<ForeignKey>& all) {
  append(all,
         {
             {"log_level", "\"passive\" \"info\" \"warning\"", "the console has one level: remove the key"},
             {"log_level_replica", "*", "there is one process"},
             {"log_on_each_node", "*", "there is one process"},
             {"save_on_each_node", "*", "there is one process"},
             {"logging_nan_inf_filter", "*",
              "a step that is not finite is left out and counted, and its loss kept out of the mean"},
             {"include_tokens_per_second", "*", "tokens per second are always shown"},
             {"include_num_input_tokens_seen", "*", "tokens are always counted, in trainer_log.jsonl"},
             {"run_name", "*", "output_dir names the run"},
             {"skip_memory_metrics", "*", "peak memory is always reported"},
             {"debug", "\"\" [] null", "there are no debug switches of that kind: remove the key"},
             {"save_safetensors", "true null", "weights are written as safetensors only: remove the key"},
             {"restore_callback_states_from_checkpoint", "false", "there are no callbacks with states: remove the key"},
             {"enable_jit_checkpoint", "*", "a run that is asked to stop always saves first"},
             {"project", "\"huggingface\" null", "it belongs to a tracking service: remove the key"},
             {"trackio_bucket_id", "null", "TensorBoard is the one report: remove the key"},
             {"trackio_space_id", "null \"trackio\"", "TensorBoard is the one report: remove the key"},
             {"trackio_static_space_id", "null false", "TensorBoard is the one report: remove the key"},
             {"push_to_hub", "false", kNoHub},
             {"push_to_hub_model_id", "null", kNoHub},
             {"push_to_hub_organization", "null", kNoHub},
             {"push_to_hub_token", "null", kNoHub},
             {"hub_always_push", "false", kNoHub},
             {"hub_model_id", "null", kNoHub},
             {"hub_private_repo", "null false", kNoHub},
             {"hub_revision", "null", kNoHub},
             {"hub_strategy", "\"every_save\"", kNoHub},
             {"hub_token", "null", kNoHub},
         });
}

void add_adapter(std::vector<ForeignKey>& all) {
  append(all, {
                  {"peft_type", "\"LORA\"", "LoRA is the one kind of adapter: use \"LORA\" or remove the key"},
                  {"task_type", "\"CAUSAL_LM\" null", "these models predict the next token: remove the key"},
                  {"bias", "\"none\"", kFullLinear},
                  {"lora_bias", "false", kFullLinear},
                  {"init_lora_weights", "true", kFullLinear},
                  {"rank_pattern", "null {}", kFullLinear},
                  {"alpha_pattern", "null {}", kFullLinear},
                  {"loraplus_lr_embedding", "*", "no embedding has an adapter here"},
                  {"layers_to_transform", "null", "name the modules by a regular expression in lora_target_modules"},
              });
}

}  // namespace

const std::vector<ForeignKey>& foreign_keys() {
  static const std::vector<ForeignKey> keys = [] {
    std::vector<ForeignKey> all;
    add_data_and_evaluation(all);
    add_optimizer_and_precision(all);
    add_devices(all);
    add_logging_and_saving(all);
    add_adapter(all);
    return all;
  }();
  return keys;
}

const ForeignKey* find_foreign_key(std::string_view name) {
  const auto& keys = foreign_keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const ForeignKey& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

bool is_harmless(const ForeignKey& key, std::string_view json_text) {
  std::string_view rest = key.harmless;
  if (rest == "*") return true;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == json_text) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace lathe
