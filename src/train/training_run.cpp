#include "train/training_run.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <lathe/error.h>
#include <omp.h>

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/memory_ledger.h"
#include "base/processor.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "config/config_file.h"
#include "config/deepspeed.h"
#include "config/plan_fit.h"
#include "data/token_cache.h"
#include "model/dora.h"
#include "ops/cpu_allocator.h"
#include "ops/device.h"
#include "ops/dtype.h"
#include "ops/profile.h"
#include "train/callbacks.h"
#include "train/checkpoint.h"
#include "train/checkpoint_folder.h"
#include "train/clock.h"
#include "train/gpu_settings.h"
#include "train/memory_check.h"
#include "train/output_folder.h"
#include "train/results.h"
#include "train/start_parts.h"
#include "train/starting_adapter.h"
#include "train/throughput.h"

namespace lathe {
namespace {

EncodeOptions encode_options(const TrainingArguments& args, TemplateKind kind) {
  EncodeOptions options;
  options.template_kind = kind;
  options.enable_thinking = args.enable_thinking;
  options.max_seq_length = args.max_seq_length;
  options.truncation_side = args.truncation_side == "left" ? TruncationSide::kLeft : TruncationSide::kRight;
  options.overlong = args.overlong == "truncate" ? OverlongPolicy::kTruncate
                     : args.overlong == "drop"   ? OverlongPolicy::kDrop
                     : args.overlong == "error"  ? OverlongPolicy::kError
                                                 : OverlongPolicy::kErrorIfNoLabel;
  options.num_threads = at::get_num_threads();
  return options;
}

/// From the cache where an earlier run left them there; says the rows that were skipped either way.
Dataset read_rows_of(const TrainingArguments& args, const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                     TemplateKind kind, TokenCache& cache) {
  const BadRowPolicy policy = args.on_bad_row == "skip" ? BadRowPolicy::kSkip : BadRowPolicy::kError;
  Dataset dataset = read_dataset(paths, policy, tokenizer, encode_options(args, kind), cache);
  for (const SkippedRow& row : dataset.report.skipped) {
    log::warning("{}:{}: row skipped: {}", row.file, row.line, row.reason);
  }
  return dataset;
}

/// With its first values where there is no file of them.
std::optional<StartingAdapter> make_adapter(const TrainingArguments& args, const ModelShape& shape,
                                            at::ScalarType dtype) {
  std::optional<StartingAdapter> adapter = starting_adapter(args, shape);
  if (!adapter) return adapter;
  if (args.adapter_name_or_path) {
    log::info("Starting from the adapter {} (r {}, alpha {}); its settings count", *args.adapter_name_or_path,
              adapter->config.r, adapter->config.alpha);
    return adapter;
  }
  // Over weights that are no floats peft leaves its fp32 draws as they are.
  adapter->weights = init_lora_weights(adapter->config, shape, args.seed, args.use_qlora ? at::kFloat : dtype);
  return adapter;
}

std::optional<ops::QuantizationSettings> quantization(const TrainingArguments& args, at::ScalarType dtype) {
  if (!args.use_qlora) return std::nullopt;
  const std::string& computed = args.bnb_4bit_compute_dtype.value_or("");
  const bool four = args.quantization_bit == 4;
  return ops::QuantizationSettings{.kind = !four                               ? ops::Quantization::kInt8
                                           : args.bnb_4bit_quant_type == "nf4" ? ops::Quantization::kNf4
                                                                               : ops::Quantization::kFp4,
                                   .double_quantized = args.bnb_4bit_use_double_quant,
                                   .compute_dtype = !four || computed.empty() ? dtype
                                                    : computed == "float32"   ? at::kFloat
                                                    : computed == "float16"   ? at::kHalf
                                                                              : at::kBFloat16};
}

/// What the run reads: quantised where the settings say so, else with nothing in `quantized`.
/// @param adapted nothing of it trains: all of it in `dtype`. Else its fp32 masters are taken from what the files hold.
QuantizedModel load_base(const TrainingArguments& args, const std::string& directory, const ModelShape& shape,
                         at::ScalarType dtype, bool adapted, const std::optional<ops::QuantizationSettings>& settings) {
  if (settings && !args.init_from_scratch) return load_quantized_model(directory, shape, dtype, *settings);
  if (!adapted && !args.init_from_scratch) return {load_model_weights(directory, shape, std::nullopt), {}};
  TensorMap weights = args.init_from_scratch ? init_model_weights(shape, args.seed, adapted ? dtype : at::kFloat)
                                             : load_model_weights(directory, shape, dtype);
  if (settings) return quantize_model(std::move(weights), *settings);
  return {std::move(weights), {}};
}

/// Weights that started from values of their own do not show it.
void check_rates(const Trainer& trainer) {
  const int64_t steps = trainer.state().global_step;
  if (trainer.first_step() > 0 || steps == 0 || trainer.highest_rate() != 0) return;  // a tail may be at rest
  throw Error(ErrorKind::kRun,
              fmt::format("the learning rate was 0 in each of the run's {} steps: nothing was trained", steps), {},
              "look at learning_rate, and at warm-up steps against the length of the run");
}

std::string describe_quantization(const TrainingArguments& args) {
  if (!args.use_qlora) return "";
  if (args.quantization_bit == 8) return "int8";
  return fmt::format("{}{}", args.bnb_4bit_quant_type, args.bnb_4bit_use_double_quant ? ", double" : "");
}

std::string describe_row_ends(const TrainingArguments& args, const Tokenizer& tokenizer) {
  const char* thinks = !args.enable_thinking ? "unset" : *args.enable_thinking ? "true" : "false";
  return fmt::format("enable_thinking {}, end token {}", thinks, tokenizer.eos_id().value_or(-1));
}

void report_quantized(const QuantizedMap& weights) {
  if (weights.empty()) return;
  int64_t count = 0, bytes = 0;
  for (const auto& [id, weight] : weights) count += weight->numel(), bytes += weight->nbytes();
  log::info("{} weights quantised to {:.3f} bits each, {}", with_commas(count),
            8.0 * static_cast<double>(bytes) / static_cast<double>(count), format_bytes(bytes));
}

/// One at a time: a weight that was read from its file is let go of before the next one is copied.
void move_weights(TensorMap& weights, at::Device device) {
  if (device.is_cpu()) return;
  for (auto& [id, tensor] : weights) tensor = tensor.to(device);
}
void move_weights(QuantizedMap& weights, at::Device device) {
  if (device.is_cpu()) return;
  for (auto& [id, weight] : weights) weight = std::make_shared<const ops::QuantizedWeight>(weight->to(device));
}

Recompute recompute_of(const TrainingArguments& args) {
  if (!args.gradient_checkpointing) return Recompute::kNothing;
  if (args.gradient_checkpointing_scope == "attention") return Recompute::kAttention;
  return args.gradient_checkpointing_scope == "mlp" ? Recompute::kMlp : Recompute::kLayer;
}

GradientStorage gradient_storage(const TrainingArguments& args) {
  return args.gradient_accumulation_steps == 1 ? GradientStorage::kComputeType : GradientStorage::kFloat;
}

MasterStorage master_storage(const TrainingArguments& args) {
  return args.bf16_stochastic_rounding ? MasterStorage::kNone : MasterStorage::kFloat;
}

std::vector<ParameterId> names_of(const TensorMap& weights) {
  std::vector<ParameterId> ids;
  for (const auto& [id, tensor] : weights) ids.push_back(id);
  return ids;
}

/// The adapter's own and what modules_to_save copies.
std::vector<ParameterId> names_of(const StartingAdapter& adapter, const ModelShape& shape) {
  std::set<ParameterId> ids;
  for (const auto& [id, tensor] : adapter.weights) ids.insert(id);
  for (const auto& [id, extents] : copied_shapes(adapter.config, shape)) ids.insert(id);
  return {ids.begin(), ids.end()};
}

int64_t count_elements(const StartingAdapter& adapter, const ModelShape& shape) {
  int64_t count = 0;
  for (const auto& [id, tensor] : adapter.weights) count += is_adapter(id.part) ? tensor.numel() : 0;
  for (const auto& [id, extents] : copied_shapes(adapter.config, shape)) count += c10::multiply_integers(extents);
  return count;
}

void warn_of_untied(const LoraConfig& config, const ModelShape& shape) {
  if (!config.modules_to_save.unties(shape)) return;
  log::warning(
      "modules_to_save copies [{}] of a model whose embed_tokens and lm_head are tied: the two part, and what is not "
      "named stays as it was, as in peft (ensure_weight_tying keeps them one)",
      fmt::join(config.modules_to_save.names, ", "));
}

/// Without this a run whose adapter never moved would end like one that learned.
void check_adapter_moved(const ParameterStore& store, const Trainer& trainer, double learning_rate) {
  int64_t still_zero = 0, all = 0;
  std::string first;
  for (const TrainableParameter& parameter : store.parameters()) {
    if (parameter.id.part != Part::kLoraB) continue;
    ++all;
    const auto& [weight, rest] = parameter.master;
    // A half may be zero where its master is not.
    if (weight.any().item<bool>() || (rest.defined() && rest.any().item<bool>())) continue;
    if (still_zero++ == 0) first = module_name(parameter.id);
  }
  if (still_zero == 0 || trainer.state().global_step == 0) return;
  const char* cause = learning_rate == 0 ? "learning_rate is 0"
                      : trainer.length().warmup_steps >= trainer.length().max_steps
                          ? "the run is shorter than its warm-up, so the learning rate stayed at or near 0"
                          : "look at lora_target_modules, at rows cut before their answer, and at the learning rate";
  throw Error(
      ErrorKind::kRun,
      fmt::format("the B of {} of {} adapters is still zero at the end (the first: {}): nothing was learned there",
                  still_zero, all, first),
      {}, cause);
}

}  // namespace

struct TrainingRun::Impl {
  TrainingArguments args;
  std::string model_directory;
  StartParts start_parts;
  std::string first_row;  ///< as text, for the console
  TemplateKind template_kind = TemplateKind::kToolkit;
  bool serves_other_prompts = false;  ///< whoever loads the result and prompts by its chat template
  ModelShape shape;
  Dataset train_rows;
  std::optional<Dataset> eval_rows;
  FolderLock folder_lock;
  ResumeChoice resume;
  bool begins_anew = false;  ///< output_dir holds another run's results, which open_output sets aside
  MemoryPlan plan;
  Fingerprints fingerprints;
  bool adapter_only = false;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<CausalLM> model;
  std::unique_ptr<ModelSaver> saver;
  std::unique_ptr<Trainer> trainer;
  std::future<std::optional<StartingAdapter>> first_adapter;  ///< its values are serial draws: made while rows are read

  /// Free for the run where its tensors lie.
  int64_t memory_bytes() const { return device.is_cpu() ? available_memory_bytes() : ops::gpu_state().free_bytes; }
  const Dataset* evaluation_rows() const {
    if (!evaluates(args)) return nullptr;
    return eval_rows ? &*eval_rows
                     : &train_rows;  // the toolkit evaluates on the training rows where there are no others
  }

  void read_data();
  void fingerprint_base();
  void choose_start();
  void open_output();
  std::vector<InputPath> input_paths() const;
  int64_t checkpoints_gone_on_with() const;
  void check_resources(int64_t trainable);
  void load_model();
  void make_trainer();
  void print_start() const;
  double model_flops_per_token(double row_length) const;
  void save_and_report();
  void write_state_of_failure() const;
};

void TrainingRun::Impl::read_data() {
  shape = read_model_shape(model_directory);
  dtype = ops::to_scalar_type(compute_dtype(args));
  first_adapter = std::async(std::launch::async, [this] {
    // Draws follow one another. Threads that round them between draws would spin where tokens are made meanwhile.
    omp_set_num_threads(1);
    return make_adapter(args, shape, dtype);
  });
  // Only until the rows are tokens: its tables are as large as a small adapter with its optimizer.
  const std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::load(model_directory);
  check_vocabulary(tokenizer->vocab_size(), shape, model_directory);
  template_kind = choose_template(args.template_name, tokenizer->chat_template());
  TokenCache cache(TokenCache::default_folder(), args.overwrite_cache);
  train_rows = read_rows_of(args, args.data_path, *tokenizer, template_kind, cache);
  if (!args.eval_data_path.empty()) {
    eval_rows = read_rows_of(args, args.eval_data_path, *tokenizer, template_kind, cache);
  } else if (args.eval_split_ratio > 0) {
    eval_rows = split_off(train_rows, args.eval_split_ratio, args.seed);
    if (!evaluates(args)) {
      log::warning("eval_split_ratio holds out {} rows that are never evaluated, for eval_strategy is \"no\"",
                   eval_rows->samples.size());
    }
  }
  throw_if_stopped();
  if (args.show_sample && !train_rows.samples.empty()) {
    first_row = show_sample(train_rows.samples.front(), *tokenizer, false);
  }
  serves_other_prompts = template_kind == TemplateKind::kToolkit && !tokenizer->chat_template().empty();
  fingerprints.data = train_rows.fingerprint;
  fingerprints.tokenizer = tokenizer->fingerprint();
  fingerprints.template_text = Sha256().update(args.template_name).update(tokenizer->chat_template()).hex();
  fingerprints.row_ends = describe_row_ends(args, *tokenizer);
  fingerprints.quantization = describe_quantization(args);
  if (eval_rows && !args.eval_data_path.empty()) fingerprints.eval_data = eval_rows->fingerprint;
}

/// Reads all weights: not before the first step is near, except to resume.
void TrainingRun::Impl::fingerprint_base() {
  if (fingerprints.base_weights.valid()) return;
  fingerprints.base_weights =
      args.init_from_scratch
          ? std::async(std::launch::deferred, [seed = args.seed] { return fmt::format("random-{}", seed); }).share()
          : std::async(std::launch::async, fingerprint_weights, model_directory).share();
}

void TrainingRun::Impl::choose_start() {
  folder_lock = take_output_folder(args.output_dir, input_paths());
  const bool asked = args.resume_from_checkpoint && *args.resume_from_checkpoint == "true";
  const bool resumes = args.resume_from_checkpoint && *args.resume_from_checkpoint != "false";
  if (resumes) clean_up_after_kill(args.output_dir);  // first of all: a checkpoint may have to be put back
  resume = choose_checkpoint(args.resume_from_checkpoint, args.output_dir);
  throw_if_stopped();
  if (resume.folder.empty()) {
    // Killed before its first checkpoint, a run starts again in its folder; from checkpoints that it cannot use, beside
    // them.
    const bool has_checkpoints = !list_checkpoints(args.output_dir).empty();
    const bool stays = asked && !has_checkpoints && !file_exists(args.output_dir + "/train_results.json");
    const bool overwrites = args.overwrite_output_dir || (asked && has_checkpoints);
    begins_anew = !stays && holds_another_run(args.output_dir, overwrites, input_paths());
    return;
  }
  if (!asked && !lies_in(resume.folder, args.output_dir)) {
    begins_anew = holds_another_run(args.output_dir, args.overwrite_output_dir, input_paths());
  }
  fingerprint_base();
  check_fingerprints(resume.folder, fingerprints);
}

/// Not before all else about the run is known to be right: a run that is refused leaves an earlier one's results where
/// they are.
void TrainingRun::Impl::open_output() {
  if (begins_anew) {
    const bool tried = resume.folder.empty() && !resume.sentence.empty();
    folder_lock = set_aside(args.output_dir, !tried);
  } else if (!resume.folder.empty()) {
    set_later_checkpoints_aside(args.output_dir, resume.step, resume.folder);
  }
  clean_up_after_kill(args.output_dir);
  log::open_log_file(args.output_dir + "/train.log");
}

int64_t TrainingRun::Impl::checkpoints_gone_on_with() const {
  if (begins_anew || resume.folder.empty()) return 0;
  const std::vector<CheckpointFolder> all = list_checkpoints(args.output_dir);
  return std::count_if(all.begin(), all.end(), [this](const CheckpointFolder& one) { return one.step <= resume.step; });
}

std::vector<InputPath> TrainingRun::Impl::input_paths() const {
  std::vector<InputPath> inputs = {{"model_name_or_path", model_directory}};
  if (args.adapter_name_or_path) inputs.push_back({"adapter_name_or_path", *args.adapter_name_or_path});
  for (const std::string& path : args.data_path) inputs.push_back({"data_path", path});
  for (const std::string& path : args.eval_data_path) inputs.push_back({"eval_data_path", path});
  return inputs;
}

void TrainingRun::Impl::check_resources(int64_t trainable) {
  const auto num_rows = static_cast<int64_t>(train_rows.samples.size());
  const TrainLoader loader(train_rows, loader_options(args));
  const RunLength length = run_length(args, loader.updates_per_epoch(), num_rows);
  const LoadShape load = largest_load(args, loader, train_rows, evaluation_rows(), length.max_steps);
  const DType compute = compute_dtype(args);
  plan = plan_memory(shape, args, load, compute, trainable);
  require_memory(shape, args, load, compute, trainable, memory_bytes());
  check_disk(shape, args, trainable, count_saves(args, length), checkpoints_gone_on_with());
}

void TrainingRun::Impl::load_model() {
  std::optional<StartingAdapter> adapter = first_adapter.get();
  start_parts.end("first values");
  adapter_only = adapter.has_value();
  if (adapter) {
    warn_of_untied(adapter->config, shape);
    take_settings(args, adapter->config);
  }
  check_resources(adapter ? count_elements(*adapter, shape) : shape.num_parameters());
  QuantizedModel base = load_base(args, model_directory, shape, dtype, adapter_only, quantization(args, dtype));
  TensorMap& weights = base.dense;
  throw_if_stopped();
  ModelOptions options{.compute_dtype = dtype, .lora = {}, .recompute = recompute_of(args), .device = device};
  options.loss_chunk_tokens = loss_chunk_tokens(args);
  options.label_smoothing = args.label_smoothing_factor;
  options.neftune_noise_alpha = args.neftune_noise_alpha;
  std::vector<ParameterId> trainable = adapter ? names_of(*adapter, shape) : names_of(weights);
  std::optional<LoraConfig> lora;
  ModelShape behind = shape;
  if (adapter) {
    lora = adapter->config;
    options.lora = {.r = lora->r, .scale = lora->scale(), .dropout = lora->dropout};
    if (lora->use_dora && !args.adapter_name_or_path) set_first_magnitudes(adapter->weights, base, dtype);
    add_adapter(weights, *lora, shape, adapter->weights);
    adapter->weights.clear();
    behind = shape_behind(*lora, shape);
  }
  move_weights(weights, device);
  move_weights(base.quantized, device);
  store = std::make_unique<ParameterStore>(behind, std::move(weights), trainable, dtype, gradient_storage(args),
                                           master_storage(args));
  report_quantized(base.quantized);
  store->add_quantized(std::move(base.quantized));
  if (args.decay_all_parameters) {
    for (TrainableParameter& parameter : store->parameters()) parameter.decay = true;
  }
  model = std::make_unique<CausalLM>(behind, options);
  saver = std::make_unique<ModelSaver>(args, shape, lora, model_directory);
}

void TrainingRun::Impl::make_trainer() {
  fingerprint_base();
  trainer = std::make_unique<Trainer>(args, TrainerParts{.model = *model,
                                                         .store = *store,
                                                         .train_dataset = train_rows,
                                                         .eval_dataset = evaluation_rows(),
                                                         .saver = *saver,
                                                         .fingerprints = fingerprints,
                                                         .resume_folder = resume.folder});
  open_output();
  const Json& kept = trainer->callback_state();
  trainer->add_callback(make_log_file_callback(args.output_dir, kept));
  if (std::find(args.report_to.begin(), args.report_to.end(), "tensorboard") != args.report_to.end()) {
    trainer->add_callback(make_tensorboard_callback(args, kept));
  }
  trainer->add_callback(make_console_callback());
  if (args.deepspeed_config.empty()) return;
  const RunLength& length = trainer->length();
  const Json deepspeed = filled_deepspeed_config(args, length.max_steps, length.warmup_steps, shape.hidden_size);
  atomic_write(args.output_dir + "/deepspeed_config.json", dump_json(deepspeed, 2) + "\n");
}

void TrainingRun::Impl::print_start() const {
  const RunLength& length = trainer->length();
  const int64_t trainable = store->num_trainable(), total = store->num_total();
  const int64_t batch = args.per_device_train_batch_size;
  log::info("***** Running training *****");
  log::info("  Device = {} ({})", device.str(), args.use_cpu ? "use_cpu" : ops::gpu_state().text);
  log::info("  Num examples = {}", with_commas(length.num_rows));
  log::info("  Num Epochs = {}", with_commas(length.num_train_epochs));
  log::info("  Num update steps per epoch = {}", with_commas(length.updates_per_epoch));
  const DType computed = compute_dtype(args);
  if (device.is_cpu() && !multiplies(computed)) {
    log::info("  Products of {} go by fp32: this processor has none of that type", torch_name(computed));
  }
  if (args.packing) {
    log::info("  Packing: {} packs of at most {} tokens take the place of rows",
              with_commas(trainer->loader().num_packs()), with_commas(args.max_seq_length));
  }
  log::info("  Instantaneous batch size per device = {}", with_commas(batch));
  log::info("  Total train batch size (w. parallel, distributed & accumulation) = {}",
            with_commas(batch * args.gradient_accumulation_steps));
  log::info("  Gradient Accumulation steps = {}", args.gradient_accumulation_steps);
  log::info("  Total optimization steps = {}", with_commas(length.max_steps));
  log::info("  Number of trainable parameters = {} ({:.4f} % of {})", with_commas(trainable),
            100.0 * static_cast<double>(trainable) / static_cast<double>(total), with_commas(total));
  if (!resume.sentence.empty()) log::info("{}", resume.sentence);
  if (!resume.folder.empty()) {
    log::info("  {} rows were seen before", with_commas(trainer->totals().rows));
    const std::string changes = changed_settings(resume.folder, args);
    if (!changes.empty()) log::warning("settings that are not the checkpoint's: {}", changes);
  }
  log::info("{}", describe(train_rows.report));
  for (const std::string& note : train_rows.report.notes) log::warning("{}", note);
  if (serves_other_prompts) {
    log::info(
        "template \"toolkit\": rows are written in its prompt, which is not that of the model's chat template. "
        "Programs that prompt by the chat template ask for \"template\": \"chat\" here");
  }
  if (eval_rows) log::info("Evaluation rows:\n{}", describe(eval_rows->report));
  if (const int64_t left_out = trainer->loader().left_out_per_epoch(); left_out > 0) {
    log::warning("dataloader_drop_last leaves {} {} out of each epoch", left_out, args.packing ? "packs" : "rows");
  }
  if (!first_row.empty()) {
    const Sample& sample = train_rows.samples.front();
    log::info("The first row, trained tokens marked:\n{}", first_row);
    log::to_file_only(
        fmt::format("ids: [{}]\nlabels: [{}]", fmt::join(sample.input_ids, ", "), fmt::join(sample.labels, ", ")));
  }
  log::info("{}", describe(plan, memory_bytes()));
  const std::string parts = fmt::format("time before training: {}", start_parts.text());
  args.profile ? log::info("{}", parts) : log::to_file_only(parts);
  for (const std::string& sentence : idle_settings(args, trainer->state(), length)) log::warning("{}", sentence);
}

/// Copies of modules_to_save are multiplied forward like the weights whose place they take: only their gradient is
/// more.
double TrainingRun::Impl::model_flops_per_token(double row_length) const {
  if (!adapter_only) return flops_per_token(shape, store->num_trainable(), true, row_length);
  int64_t adapters = 0, copies = 0;
  for (const TrainableParameter& parameter : store->parameters()) {
    const at::Tensor& weight = parameter.master.weight;
    const bool looked_up = parameter.id.site == Site::kEmbedTokens && !model->shape().tie_word_embeddings;
    if (is_adapter(parameter.id.part)) {
      adapters += weight.numel();
    } else if (weight.dim() > 1 && !looked_up) {
      copies += weight.numel();
    }
  }
  return flops_per_token(shape, adapters, false, row_length) + 2.0 * static_cast<double>(copies);
}

void TrainingRun::Impl::save_and_report() {
  if (trainer->stopped_by_signal() == 0) {
    store->require_finite();
    saver->save(args.output_dir, *store);
  }
  const double tokens = static_cast<double>(trainer->totals().tokens);
  const double rows = std::max(1.0, static_cast<double>(trainer->totals().rows));
  // Measured now, it keeps nobody from starting.
  const double machine_flops = measure_matmul_flops(dtype, device);
  const ResultParts parts{.args = args,
                          .trainer = *trainer,
                          .data = train_rows.report,
                          .eval_data = eval_rows ? &eval_rows->report : nullptr,
                          .plan = plan,
                          .startup_seconds = trainer->start_s() - kProcessStart_s,
                          .start_parts = start_parts,
                          .model_flops = tokens * model_flops_per_token(tokens / rows),
                          .device = device,
                          .machine_flops = machine_flops};
  write_results(parts);
  log::info("{}", metrics_block("train", train_results(parts)));
  if (!trainer->eval_metrics().is_null()) log::info("{}", metrics_block("eval", trainer->eval_metrics()));
}

void TrainingRun::Impl::write_state_of_failure() const {
  try {
    write_trainer_state(args.output_dir, trainer->state());
  } catch (const Error& error) {
    log::warning("{}", error.what());  // what ended the run is what has to be told
  }
}

TrainingRun::TrainingRun(TrainingArguments args, std::string model_directory, std::vector<std::string> notes)
    : impl_(std::make_unique<Impl>()) {
  log::close_log_file();  // of a run before this one, which may have ended with an error worth a line
  install_cpu_allocator();
  install_signal_handlers();
  cpu_ledger().reset_peaks();  // those of this run alone
  impl_->args = std::move(args);
  impl_->device = ops::choose_device(impl_->args.use_cpu);
  if (!impl_->device.is_cpu()) check_gpu_settings(impl_->args);
  impl_->model_directory = std::move(model_directory);
  for (const std::string& note : notes) log::info("{}", note);
  impl_->start_parts.end("settings");
  impl_->read_data();
  impl_->start_parts.end("rows");
  impl_->choose_start();
  impl_->start_parts.end("output");
  impl_->load_model();
  impl_->start_parts.end("weights");
  impl_->make_trainer();
  trim_heap();
  impl_->start_parts.end("trainer");
  impl_->print_start();
}

TrainingRun::~TrainingRun() = default;
TrainingRun::TrainingRun(TrainingRun&&) noexcept = default;

TrainOutput TrainingRun::train() {
  TrainOutput output;
  if (impl_->args.profile) ops::start_profile();
  try {
    output = impl_->trainer->train();
    if (impl_->args.profile) log::info("{}", ops::describe(ops::stop_profile()));
  } catch (const Error&) {
    impl_->write_state_of_failure();
    throw;
  }
  impl_->save_and_report();
  if (output.stopped_by_signal == 0 && !output.out_of_time) {
    if (impl_->adapter_only) check_adapter_moved(*impl_->store, *impl_->trainer, impl_->args.learning_rate);
    check_rates(*impl_->trainer);
  }
  if (!output.save_error.empty()) {
    throw Error(ErrorKind::kIo, fmt::format("the last checkpoint could not be saved: {}", output.save_error));
  }
  return output;
}

const TrainingArguments& TrainingRun::arguments() const {
  return impl_->args;
}
CausalLM& TrainingRun::model() {
  return *impl_->model;
}
WeightSource& TrainingRun::weights() {
  return *impl_->store;
}
std::shared_ptr<const Tokenizer> TrainingRun::load_tokenizer() const {
  return Tokenizer::load(impl_->model_directory);
}
TemplateKind TrainingRun::template_kind() const {
  return impl_->template_kind;
}
const Dataset& TrainingRun::train_dataset() const {
  return impl_->train_rows;
}
const Dataset* TrainingRun::eval_dataset() const {
  return impl_->eval_rows ? &*impl_->eval_rows : nullptr;
}

const TrainerState& TrainingRun::state() const {
  return impl_->trainer->state();
}

TrainOutput run_training(const TrainingArguments& args, const std::string& model_directory,
                         const std::vector<std::string>& notes) {
  return TrainingRun(args, model_directory, notes).train();
}

}  // namespace lathe
