// lathe plan: the memory and the disk space that a run takes, before it is started.
#include "config/plan_fit.h"

#include <fmt/format.h>
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/commands/commands.h"
#include "app/model_lookup.h"
#include "base/file.h"
#include "base/memory_ledger.h"
#include "config/config_file.h"
#include "data/dataset.h"
#include "train/starting_adapter.h"

namespace lathe {
namespace {

struct PlanWords {
  std::string config;
  std::vector<std::string> overrides;
  std::string device_memory;
  int64_t world_size = 1;
  bool json = false;
};

/// All that is said of one run.
struct Outlook {
  ModelShape shape;
  LoadShape load;
  std::string load_from;
  DType compute = DType::kF32;
  int64_t trainable = 0, available = 0, disk = 0;
  MemoryPlan plan;
};

EncodeOptions encode_options(const TrainingArguments& args, const Tokenizer& tokenizer) {
  EncodeOptions options;
  options.template_kind = choose_template(args.template_name, tokenizer.chat_template());
  options.enable_thinking = args.enable_thinking;
  options.max_seq_length = args.max_seq_length;
  options.truncation_side = args.truncation_side == "left" ? TruncationSide::kLeft : TruncationSide::kRight;
  options.overlong = OverlongPolicy::kTruncate;  // the plan is for what is left
  return options;
}

/// No order of the rows makes a larger batch than the longest ones together.
void include_largest(BatchShape& load, const Dataset& dataset, int64_t batch_size) {
  std::vector<int64_t> lengths;
  for (const Sample& sample : dataset.samples) lengths.push_back(static_cast<int64_t>(sample.input_ids.size()));
  std::sort(lengths.rbegin(), lengths.rend());
  lengths.resize(std::min(lengths.size(), static_cast<size_t>(batch_size)));
  load.tokens = std::max(load.tokens, std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
  load.targets = load.tokens;
  if (!lengths.empty()) load.longest_row = std::max(load.longest_row, lengths.front());
}

/// No order of the packs makes a larger batch than full ones.
void include_packs(Outlook& outlook, const TrainingArguments& args, int64_t tokens) {
  outlook.load.train.tokens = std::min(args.per_device_train_batch_size * args.max_seq_length, tokens);
  outlook.load.train.targets = outlook.load.train.tokens;
  outlook.load_from = "packs of max_seq_length";
}

bool all_there(const std::vector<std::string>& paths) {
  return std::all_of(paths.begin(), paths.end(), file_exists);
}

void choose_load(Outlook& outlook, const TrainingArguments& args, const std::string& model) {
  if (!all_there(args.data_path) || (evaluates(args) && !all_there(args.eval_data_path)) ||
      !file_exists(model + "/tokenizer.json")) {
    outlook.load = nominal_load(args);
    outlook.load_from = "rows of max_seq_length (the data is not there)";
    return;
  }
  const auto tokenizer = Tokenizer::load(model);
  const EncodeOptions options = encode_options(args, *tokenizer);
  const BadRowPolicy policy = args.on_bad_row == "skip" ? BadRowPolicy::kSkip : BadRowPolicy::kError;
  const Dataset train = encode_rows(read_rows(args.data_path, policy), *tokenizer, options);
  include_largest(outlook.load.train, train, args.per_device_train_batch_size);
  outlook.load_from = fmt::format("the longest of {} rows", train.samples.size());
  if (args.packing) include_packs(outlook, args, train.report.tokens);
  if (!evaluates(args)) return;
  if (args.eval_data_path.empty()) return include_largest(outlook.load.eval, train, args.per_device_eval_batch_size);
  const Dataset held_out = encode_rows(read_rows(args.eval_data_path, policy), *tokenizer, options);
  include_largest(outlook.load.eval, held_out, args.per_device_eval_batch_size);
}

/// @param args gets the settings of the adapter that the run starts from
Outlook look_ahead(TrainingArguments& args, const PlanWords& words) {
  Outlook outlook;
  const std::string model =
      find_model({.name = args.model_name_or_path, .cache_dir = args.cache_dir, .needs_weights = false});
  outlook.shape = read_model_shape(model);
  if (const auto adapter = starting_adapter(args, outlook.shape)) take_settings(args, adapter->config);
  outlook.compute = compute_dtype(args);
  outlook.trainable = trainable_parameters(outlook.shape, args);
  outlook.available = words.device_memory.empty() ? available_memory_bytes() : parse_bytes(words.device_memory);
  choose_load(outlook, args, model);
  outlook.plan = plan_memory(outlook.shape, args, outlook.load, outlook.compute, outlook.trainable);
  outlook.disk = checkpoint_bytes(outlook.shape, args, outlook.trainable);
  return outlook;
}

void print_json(const Outlook& outlook) {
  Json json = {{"parameters", outlook.shape.num_parameters()},
               {"trainable_parameters", outlook.trainable},
               {"compute_dtype", std::string(torch_name(outlook.compute))},
               {"micro_batch_tokens", outlook.load.train.tokens},
               {"longest_row", outlook.load.train.longest_row},
               {"evaluation_batch_tokens", outlook.load.eval.tokens},
               {"total_bytes", outlook.plan.total()},
               {"mapped_bytes", outlook.plan.mapped_bytes},
               {"available_bytes", outlook.available},
               {"fits", outlook.plan.total() <= outlook.available},
               {"checkpoint_bytes", outlook.disk}};
  for (size_t i = 0; i < kNumMemoryClasses; ++i) {
    json["classes"][std::string(name(static_cast<MemoryClass>(i)))] = outlook.plan.bytes[i];
  }
  json["terms"] = Json::array();
  for (const PlanTerm& term : outlook.plan.terms) {
    json["terms"].push_back(
        {{"class", std::string(name(term.memory_class))}, {"name", term.name}, {"bytes", term.bytes}});
  }
  fmt::print("{}\n", dump_json(json, 2));
}

void print_text(const Outlook& outlook) {
  fmt::print("parameters: {}, of which {} train; computes in {}\n", outlook.shape.num_parameters(), outlook.trainable,
             torch_name(outlook.compute));
  fmt::print("largest micro-batch: {} tokens, from {}\n", outlook.load.train.tokens, outlook.load_from);
  if (outlook.load.eval.tokens > 0) fmt::print("largest evaluation batch: {} tokens\n", outlook.load.eval.tokens);
  fmt::print("{}", describe(outlook.plan, outlook.available));
  fmt::print("disk: {} a checkpoint\n", format_bytes(outlook.disk));
}

int run_plan(const PlanWords& words) {
  if (words.world_size != 1) {
    throw Error(ErrorKind::kConfig,
                fmt::format("--world-size {}: training on several ranks is not part of this version", words.world_size),
                {}, "plan for --world-size 1");
  }
  LoadedConfig loaded = load_config(words.config, words.overrides);
  const Outlook outlook = look_ahead(loaded.args, words);
  words.json ? print_json(outlook) : print_text(outlook);
  std::fflush(stdout);
  require_memory(outlook.shape, loaded.args, outlook.load, outlook.compute, outlook.trainable, outlook.available);
  return 0;
}

}  // namespace

Command plan_command() {
  return {"plan", "Say what memory and disk space a run takes, and what would fit", [](CommandOptions& options) {
            auto words = std::make_shared<PlanWords>();
            options.required("-c,--config", words->config, "the run's configuration");
            options.option("overrides", words->overrides, "key=value words that override its keys");
            options.option("--device-memory", words->device_memory, "plan for this much memory, for example 8GiB");
            options.option("--world-size", words->world_size, "number of ranks");
            options.flag("--json", words->json, "print JSON");
            options.footer("Exit code 3: the run does not fit; the message names settings that would.");
            return [words] { return run_plan(*words); };
          }};
}

}  // namespace lathe
