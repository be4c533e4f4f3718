#include "config/deepspeed_keys.h"

#include <algorithm>

#include "config/spelling.h"

namespace lathe {
namespace {

constexpr const char* kOneRank = "one rank has nobody to talk to";
constexpr const char* kWhole = "on one rank every tensor is whole, nothing is gathered or scattered";
constexpr const char* kPrints = "Lathe reports in its own way";
constexpr const char* kMasters =
    "what trains has fp32 masters here, and gradients and optimizer state of its own: remove the key";
constexpr const char* kOtherMathematics = "it changes the mathematics and is not part of this version: remove the key";
constexpr const char* kOwnWork = "memory is handled by Lathe itself";

void append(std::vector<ForeignKey>& all, std::initializer_list<ForeignKey> more) {
  all.insert(all.end(), more);
}

void add_training(std::vector<ForeignKey>& all) {
  append(all, {{"train_batch_size", kUsed, ""},
               {"train_micro_batch_size_per_gpu", kUsed, ""},
               {"gradient_accumulation_steps", kUsed, ""},
               {"gradient_clipping", kUsed, ""},
               {"dataloader_drop_last", kUsed, ""},
               {"steps_per_print", "*", "logging_steps decides when the loss is logged"},
               {"wall_clock_breakdown", "*", "`profile` prints where the time went"},
               {"memory_breakdown", "*", kPrints},
               {"dump_state", "*", kPrints},
               {"log_level", "*", kPrints},
               {"prescale_gradients", "*", kOneRank},
               {"gradient_predivide_factor", "*", kOneRank},
               {"gradient_allreduce_op", "*", kOneRank},
               {"communication_data_type", "*", kOneRank},
               {"seq_parallel_communication_data_type", "*", kOneRank},
               {"fp32_allreduce", "*", kOneRank},
               {"sparse_gradients", "*", kOneRank},
               {"disable_allgather", "*", kOneRank},
               {"sequence_parallel_size", "1", kOneRank},
               {"tensor_parallel", "null {} {\"autotp_size\":0} {\"autotp_size\":1}", kOneRank},
               {"pipeline", "null {}", kOneRank},
               {"use_data_before_expert_parallelism", "*", kOneRank},
               {"managed_gradient_accumulation", "*", "the trainer counts the micro-batches"},
               {"check_overflow", "*", "gradients are always checked"},
               {"disable_python_gc", "*", "there is no Python here"},
               {"graph_harvesting", "*", "there are no CUDA graphs here"},
               {"zero_allow_untested_optimizer", "*", "every optimizer here is tested"},
               {"zero_force_ds_cpu_optimizer", "*", "there is one implementation of each optimizer"}});
}

void add_optimizer(std::vector<ForeignKey>& all) {
  append(all, {{"optimizer.type", kUsed, ""},
               {"optimizer.params.lr", kUsed, ""},
               {"optimizer.params.betas", kUsed, ""},
               {"optimizer.params.eps", kUsed, ""},
               {"optimizer.params.weight_decay", kUsed, ""},
               {"optimizer.params.adam_w_mode", kUsed, ""},
               {"optimizer.params.momentum", kUsed, ""},
               {"optimizer.params.dampening", kUsed, ""},
               {"optimizer.params.nesterov", kUsed, ""},
               {"optimizer.params.alpha", kUsed, ""},
               {"optimizer.params.centered", kUsed, ""},
               {"optimizer.params.lr_decay", kUsed, ""},
               {"optimizer.params.initial_accumulator_value", "0 0.0", "Adagrad's sums start at zero: remove the key"},
               {"optimizer.params.maximize", "false", "losses are made smaller: remove the key"},
               {"optimizer.params.foreach", "*", "there is one implementation of each optimizer"},
               {"optimizer.params.torch_adam", "*", "there is one AdamW, torch's"},
               {"optimizer.params.fused", "*", "there is one implementation of each optimizer"},
               {"optimizer.params.bias_correction", "true", kOtherMathematics},
               {"optimizer.params.amsgrad", "false", kOtherMathematics},
               {"optimizer.params.max_grad_norm", "0 0.0", "clipping is gradient_clipping's: remove the key"},
               {"optimizer.params.set_grad_none", "*", kOwnWork},
               {"optimizer.legacy_fusion", "false", kOtherMathematics}});
  append(all, {{"scheduler.type", kUsed, ""}});
  for (const char* name :
       {"scheduler.params.warmup_min_lr", "scheduler.params.warmup_max_lr", "scheduler.params.warmup_num_steps",
        "scheduler.params.warmup_type", "scheduler.params.total_num_steps", "scheduler.params.warmup_min_ratio",
        "scheduler.params.cos_min_ratio", "scheduler.params.cycle_min_lr", "scheduler.params.cycle_max_lr",
        "scheduler.params.decay_lr_rate", "scheduler.params.cycle_first_step_size",
        "scheduler.params.cycle_second_step_size", "scheduler.params.cycle_first_stair_count",
        "scheduler.params.cycle_second_stair_count", "scheduler.params.decay_step_size",
        "scheduler.params.lr_range_test_min_lr", "scheduler.params.lr_range_test_step_size",
        "scheduler.params.lr_range_test_step_rate", "scheduler.params.lr_range_test_staircase"}) {
    all.push_back({name, kUsed, ""});
  }
  constexpr const char* kMomentum = "momentum does not follow the cycle here: set cycle_momentum to false";
  append(all, {{"scheduler.params.last_batch_iteration", "-1", "a resumed run knows its step: remove the key"},
               {"scheduler.params.cycle_momentum", "false", kMomentum},
               {"scheduler.params.cycle_min_mom", "*", kMomentum},
               {"scheduler.params.cycle_max_mom", "*", kMomentum},
               {"scheduler.params.decay_mom_rate", "*", kMomentum}});
}

void add_precision(std::vector<ForeignKey>& all) {
  append(all, {{"fp16.enabled", kUsed, ""},
               {"fp16.loss_scale", kUsed, ""},
               {"fp16.initial_scale_power", kUsed, ""},
               {"fp16.loss_scale_window", kUsed, ""},
               {"fp16.hysteresis", kUsed, ""},
               {"fp16.consecutive_hysteresis", kUsed, ""},
               {"fp16.min_loss_scale", kUsed, ""},
               {"fp16.auto_cast", "*", "inputs are token ids"},
               {"fp16.fp16_master_weights_and_grads", "false", kMasters},
               {"fp16.opt_level", "*", "there are no Apex levels here"},
               {"bf16.enabled", kUsed, ""},
               {"bf16.immediate_grad_update", "*", "gradients are added up in fp32 as they come"},
               {"bf16.check_grad_overflow", "*", "gradients are always checked"},
               {"bf16.bf16_master_weights_and_grads", "false", kMasters},
               {"bf16.bf16_optimizer_states", "false", kMasters},
               {"data_types.grad_accum_dtype", "\"fp32\" null", "gradients are added up in fp32: remove the key"},
               {"data_types.param_dtype", "\"fp32\" null", "trained parameters are fp32: remove the key"},
               {"data_types.buffer_dtype", "*", "there are no buffers of that kind"},
               {"torch_autocast", "null {} {\"enabled\":false}", "precision is bf16's and fp16's: remove the key"},
               {"amp", "null {} {\"enabled\":false}", "there are no Apex levels here: use fp16 or bf16"}});
}

void add_zero(std::vector<ForeignKey>& all) {
  append(all, {{"zero_optimization.stage", kUsed, ""},
               {"zero_optimization.offload_optimizer.device", kUsed, ""},
               {"zero_optimization.offload_param.device", kUsed, ""},
               {"zero_optimization.cpu_offload", kUsed, ""},
               {"zero_optimization.cpu_offload_param", kUsed, ""}});
  for (const char* name : {"zero_optimization.contiguous_gradients",
                           "zero_optimization.reduce_scatter",
                           "zero_optimization.use_multi_rank_bucket_allreduce",
                           "zero_optimization.allgather_partitions",
                           "zero_optimization.overlap_comm",
                           "zero_optimization.round_robin_gradients",
                           "zero_optimization.legacy_stage1",
                           "zero_optimization.ignore_unused_parameters",
                           "zero_optimization.elastic_checkpoint",
                           "zero_optimization.load_from_fp32_weights",
                           "zero_optimization.override_module_apply",
                           "zero_optimization.log_trace_cache_warnings",
                           "zero_optimization.enable_sanity_checks",
                           "zero_optimization.parameter_alignment",
                           "zero_optimization.pipeline_loading_checkpoint",
                           "zero_optimization.compute_grad_norm",
                           "zero_optimization.leaf_module",
                           "zero_optimization.reduce_bucket_size",
                           "zero_optimization.allgather_bucket_size",
                           "zero_optimization.sub_group_size",
                           "zero_optimization.memory_efficient_linear",
                           "zero_optimization.gather_16bit_weights_on_model_save",
                           "zero_optimization.cpu_offload_use_pin_memory",
                           "zero_optimization.save_muon_momentum_buffer_in_memory",
                           "zero_optimization.zero_hpz_partition_size",
                           "zero_optimization.stage3_prefetch_bucket_size",
                           "zero_optimization.stage3_param_persistence_threshold",
                           "zero_optimization.stage3_model_persistence_threshold",
                           "zero_optimization.stage3_max_live_parameters",
                           "zero_optimization.stage3_max_reuse_distance",
                           "zero_optimization.stage3_gather_16bit_weights_on_model_save",
                           "zero_optimization.stage3_gather_fp16_weights_on_model_save",
                           "zero_optimization.stage3_module_granularity_threshold",
                           "zero_optimization.stage3_use_all_reduce_for_fetch_params",
                           "zero_optimization.stage3_allgather_sequential"}) {
    all.push_back({name, "*", kWhole});
  }
  constexpr const char* kAlreadyThere = "on a CPU nothing moves between memories";
  for (const char* name :
       {"zero_optimization.offload_optimizer.pin_memory", "zero_optimization.offload_param.pin_memory",
        "zero_optimization.offload_optimizer.buffer_count", "zero_optimization.offload_param.buffer_count",
        "zero_optimization.offload_param.buffer_size", "zero_optimization.offload_param.max_in_cpu",
        "zero_optimization.offload_optimizer.pipeline", "zero_optimization.offload_optimizer.pipeline_read",
        "zero_optimization.offload_optimizer.pipeline_write", "zero_optimization.offload_optimizer.fast_init",
        "zero_optimization.offload_optimizer.ratio", "zero_optimization.offload_optimizer.super_offload",
        "zero_optimization.offload_optimizer.cpuadam_cores_perc", "zero_optimization.offload_optimizer.nvme_path",
        "zero_optimization.offload_param.nvme_path", "aio"}) {
    all.push_back({name, "*", kAlreadyThere});
  }
  append(all, {{"zero_optimization.zenflow", "null", kOtherMathematics},
               {"zero_optimization.zero_quantized_weights", "false", kOtherMathematics},
               {"zero_optimization.zero_quantized_nontrainable_weights", "false", kOtherMathematics},
               {"zero_optimization.zero_quantized_gradients", "false", kOtherMathematics}});
}

void add_other_features(std::vector<ForeignKey>& all) {
  for (const char* name : {"tensorboard", "wandb", "csv_monitor", "comet", "flops_profiler", "comms_logger", "timers",
                           "monitor_config", "nebula"}) {
    all.push_back({name, "*", kPrints});
  }
  append(all, {{"activation_checkpointing", "*", "gradient_checkpointing decides what is computed again"},
               {"checkpoint", "*", "checkpoints are Lathe's own"},
               {"hybrid_engine", "null {} {\"enabled\":false}", kOtherMathematics},
               {"compile", "*", "Lathe brings its own compiled kernels"},
               {"aot_compile", "*", "Lathe brings its own compiled kernels"},
               {"autotuning", "null {} {\"enabled\":false}", "`lathe plan` says what fits: remove the key"},
               {"elasticity", "null {} {\"enabled\":false}", "there is one rank: remove the key"}});
  for (const char* name :
       {"compression_training", "data_efficiency", "curriculum_learning", "sparse_attention", "eigenvalue",
        "progressive_layer_drop", "quantize_training", "weight_quantization", "expert_parallel"}) {
    all.push_back({name, "null {} {\"enabled\":false}", kOtherMathematics});
  }
}

std::string_view section_of(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

}  // namespace

const std::vector<ForeignKey>& deepspeed_keys() {
  static const std::vector<ForeignKey> keys = [] {
    std::vector<ForeignKey> all;
    add_training(all);
    add_optimizer(all);
    add_precision(all);
    add_zero(all);
    add_other_features(all);
    return all;
  }();
  return keys;
}

const ForeignKey* find_deepspeed_key(std::string_view path) {
  const auto& keys = deepspeed_keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const ForeignKey& key) { return key.name == path; });
  return found == keys.end() ? nullptr : &*found;
}

bool is_deepspeed_section(std::string_view path) {
  const std::string start = std::string(path) + ".";
  return std::ranges::any_of(deepspeed_keys(),
                             [&](const ForeignKey& key) { return std::string_view(key.name).starts_with(start); });
}

std::string nearest_deepspeed_key(std::string_view path) {
  std::string best;
  int distance = 0;
  const std::string section(section_of(path));
  for (const ForeignKey& key : deepspeed_keys()) {
    std::string_view name = key.name;
    if (!section.empty() && !name.starts_with(section + ".")) continue;
    // A section's own name counts as one of its neighbours'.
    const size_t end = name.find('.', section.empty() ? 0 : section.size() + 1);
    name = name.substr(0, end);
    const int d = edit_distance(path, name);
    if (best.empty() || d < distance) best = std::string(name), distance = d;
  }
  return best;
}

}  // namespace lathe
