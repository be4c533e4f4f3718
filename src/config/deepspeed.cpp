#include "config/deepspeed.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "config/deepspeed_keys.h"
#include "config/deepspeed_optimizers.h"
#include "config/optimizers.h"

namespace lathe {
namespace {

std::string without_spaces(std::string text) {
  std::erase(text, ' ');
  return text;
}

/// The node at a path with dots; null: there is none.
Json* find_node(Json& json, std::string_view path) {
  Json* node = &json;
  while (true) {
    const size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (!node->is_object() || !node->contains(key)) return nullptr;
    node = &(*node)[key];
    if (dot == std::string_view::npos) return node;
    path.remove_prefix(dot + 1);
  }
}

bool is_auto(const Json* node) {
  return node != nullptr && node->is_string() && node->get_ref<const std::string&>() == "auto";
}

std::string text_of(const Json* node) {
  return node != nullptr && node->is_string() ? node->get<std::string>() : std::string();
}

/// One JSON on its way into the settings.
class DeepSpeedReader {
 public:
  DeepSpeedReader(Settings& settings, Json json, std::string file, JsonPositions positions)
      : settings_(settings), json_(std::move(json)), file_(std::move(file)), positions_(std::move(positions)) {}

  Json read() {
    check_keys(json_, "");
    if (!fits_) return json_;
    if (!idle_.empty()) {
      settings_.notes.push_back(fmt::format("DeepSpeed: without effect: {}", fmt::join(idle_, ", ")));
    }
    match_precision();
    match("train_micro_batch_size_per_gpu", "per_device_train_batch_size");
    match("gradient_accumulation_steps", "gradient_accumulation_steps");
    match_train_batch_size();
    match("gradient_clipping", "max_grad_norm");
    match("dataloader_drop_last", "dataloader_drop_last");
    match("zero_optimization.stage", "deepspeed_stage");
    match_optimizer();
    match_scheduler();
    check_offload("zero_optimization.offload_optimizer.device");
    check_offload("zero_optimization.offload_param.device");
    return std::move(json_);
  }

 private:
  Where where(std::string_view path) const {
    Where where = settings_.where("deepspeed");
    where.key = std::string(path);
    if (file_.empty()) return where;
    std::string pointer = "/" + std::string(path);
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    const auto found = positions_.find(pointer);
    return {.file = file_, .line = found == positions_.end() ? 0 : found->second.line, .key = std::string(path)};
  }

  void refuse(std::string_view path, std::string what, std::string hint) {
    fits_ = false;
    settings_.problems.emplace_back(ErrorKind::kConfig, std::move(what), where(path), std::move(hint));
  }

  void check_keys(const Json& object, const std::string& section) {
    for (const auto& [key, value] : object.items()) {
      if (key.starts_with("_")) continue;
      const std::string path = section.empty() ? key : section + "." + key;
      if (const ForeignKey* known = find_deepspeed_key(path)) {
        check_value(*known, path, value);
      } else if (!is_deepspeed_section(path)) {
        refuse(path, fmt::format("'{}' is not a key of DeepSpeed's configuration", path),
               fmt::format("did you mean '{}'?", nearest_deepspeed_key(path)));
      } else if (value.is_object()) {
        check_keys(value, path);
      } else if (!value.is_null()) {
        refuse(path, fmt::format("'{}' is an object of keys, found {}", path, dump_json(value)), "");
      }
    }
  }

  void check_value(const ForeignKey& key, const std::string& path, const Json& value) {
    const std::string text = dump_json(value);
    if (std::string_view(key.harmless) == kUsed || text == "\"auto\"") return;
    if (is_harmless(key, text)) {
      if (asks_for_something(path, value)) idle_.push_back(fmt::format("{} ({})", path, key.advice));
      return;
    }
    refuse(path, fmt::format("'{}' of the DeepSpeed configuration is not supported with the value {}", path, text),
           key.advice);
  }

  /// A feature that is switched on; what belongs to the stages is told of as one (say_what_it_means).
  static bool asks_for_something(std::string_view path, const Json& value) {
    if (path.starts_with("zero_optimization") || path.starts_with("bf16") || path.starts_with("fp16")) return false;
    if (value.is_boolean()) return value.get<bool>();
    return value.is_object() && !value.empty() && value.value("enabled", Json(true)) != false;
  }

  /// "auto" becomes the trainer's value; a value of its own is taken over, unless the user gave the trainer another.
  void match(std::string_view path, const char* name, Json* node) {
    const Field& field = *find_field(name);
    if (node == nullptr || node->is_null()) return;
    if (is_auto(node)) {
      *node = get_value(settings_.args, field);
      return;
    }
    TrainingArguments probe = settings_.args;
    if (const auto wrong = set_value(probe, field, *node))
      return refuse(path, fmt::format("'{}': {}", path, wrong->what), wrong->hint);
    const Json theirs = get_value(probe, field), ours = get_value(settings_.args, field);
    if (theirs == ours) return;
    if (settings_.has(name))
      return contradict(path, dump_json(theirs), settings_.given.at(name).spelled, dump_json(ours));
    (void)set_value(settings_.args, field, *node);
    settings_.notes.push_back(
        fmt::format("{} is {}, from the DeepSpeed configuration's {}", name, dump_json(theirs), path));
  }
  void match(const char* path, const char* name) { match(path, name, find_node(json_, path)); }

  void contradict(std::string_view path, const std::string& theirs, const std::string& name, const std::string& ours) {
    refuse(path,
           fmt::format("'{}' ({}) of the DeepSpeed configuration contradicts '{}' ({})", path, theirs, name, ours),
           fmt::format("make them agree, or write \"{}\": \"auto\" there", path.substr(path.rfind('.') + 1)));
  }

  void match_precision() {
    const Json* bf16 = find_node(json_, "bf16.enabled");
    const Json* fp16 = find_node(json_, "fp16.enabled");
    const auto on = [](const Json* node) { return node != nullptr && node->is_boolean() && node->get<bool>(); };
    TrainingArguments& args = settings_.args;
    if (on(bf16) && args.fp16 && settings_.has("fp16")) return contradict("bf16.enabled", "true", "fp16", "true");
    if (on(fp16) && args.bf16 && settings_.has("bf16")) return contradict("fp16.enabled", "true", "bf16", "true");
    if (on(bf16)) args.fp16 = false;  // it is true by default: one that nobody gave makes way
    match("fp16.enabled", "fp16");
    match("bf16.enabled", "bf16");
  }

  void match_train_batch_size() {
    Json* node = find_node(json_, "train_batch_size");
    if (node == nullptr) return;
    if (!is_auto(node) && !node->is_number_integer()) {
      return refuse("train_batch_size", fmt::format("'train_batch_size' is a whole number, found {}", dump_json(*node)),
                    "");
    }
    TrainingArguments& args = settings_.args;
    // The toolkit writes 0 where it sees no GPU.
    if (is_auto(node) || *node == 0) {
      *node = args.per_device_train_batch_size * args.gradient_accumulation_steps;
      return;
    }
    const auto all = node->get<int64_t>();
    if (find_node(json_, "train_micro_batch_size_per_gpu") == nullptr &&
        !settings_.has("per_device_train_batch_size") && all % args.gradient_accumulation_steps == 0) {
      args.per_device_train_batch_size = all / args.gradient_accumulation_steps;
    }
    if (all == args.per_device_train_batch_size * args.gradient_accumulation_steps) return;
    refuse("train_batch_size",
           fmt::format(
               "'train_batch_size' ({}) of the DeepSpeed configuration contradicts 'per_device_train_batch_size' ({}) "
               "times 'gradient_accumulation_steps' ({}) on one rank",
               all, args.per_device_train_batch_size, args.gradient_accumulation_steps),
           "more ranks are not part of this version: make them agree, or write \"train_batch_size\": \"auto\"");
  }

  void match_optimizer() {
    Json* type = find_node(json_, "optimizer.type");
    if (type == nullptr) return;
    const DeepSpeedOptimizer* optimizer = find_deepspeed_optimizer(text_of(type));
    if (optimizer == nullptr) {
      const char* advice = deepspeed_optimizer_advice(text_of(type));
      return refuse("optimizer.type",
                    fmt::format("the optimizer {} of the DeepSpeed configuration is not supported", dump_json(*type)),
                    advice);
    }
    match_optim(*optimizer);
    check_parameters(*optimizer);
    match("optimizer.params.lr", "learning_rate");
    match("optimizer.params.weight_decay", "weight_decay");
    if (optimizer->is_adam()) {
      match("optimizer.params.eps", "adam_epsilon");
      match_betas();
      match_adam_mode(*optimizer);
    } else {
      match_arguments(*optimizer);
    }
    // DeepSpeed makes its optimizer from all parameters in one group.
    settings_.args.decay_all_parameters = true;
    settings_.notes.push_back(fmt::format("the optimizer is the DeepSpeed configuration's {}{}", optimizer->name,
                                          settings_.args.weight_decay > 0 ? ": weight_decay on every parameter" : ""));
  }

  void match_optim(const DeepSpeedOptimizer& optimizer) {
    TrainingArguments& args = settings_.args;
    const bool same = optimizer.is_adam() ? is_adamw(args) : args.optim == optimizer.optim;
    if (!same && settings_.has("optim")) {
      return refuse("optimizer.type",
                    fmt::format("'optimizer.type' (\"{}\") of the DeepSpeed configuration contradicts 'optim' (\"{}\")",
                                optimizer.name, args.optim),
                    "remove optim, or that block");
    }
    if (!same) args.optim = optimizer.optim;
  }

  /// A key of another optimizer's, which DeepSpeed would stop at.
  void check_parameters(const DeepSpeedOptimizer& optimizer) {
    const Json* params = find_node(json_, "optimizer.params");
    if (params == nullptr || !params->is_object()) return;
    for (const auto& [key, value] : params->items()) {
      const std::string path = "optimizer.params." + key;
      const ForeignKey* known = find_deepspeed_key(path);
      if (known == nullptr || std::string_view(known->harmless) != kUsed || optimizer.takes(key)) continue;
      refuse(path, fmt::format("{} has no '{}'", optimizer.name, key),
             fmt::format("it takes {}", fmt::join(optimizer.parameters, ", ")));
    }
  }

  /// DeepSpeed's Adam is AdamW unless it is told not to be; its AdamW always.
  void match_adam_mode(const DeepSpeedOptimizer& optimizer) {
    const Json* mode = find_node(json_, "optimizer.params.adam_w_mode");
    const bool coupled = mode != nullptr && mode->is_boolean() && !mode->get<bool>();
    settings_.args.adam_decays_gradient = coupled && std::string_view(optimizer.name) == "Adam";
  }

  /// The optimizer's own numbers become optim_args.
  void match_arguments(const DeepSpeedOptimizer& optimizer) {
    std::vector<std::string> pairs;
    for (const char* key : optimizer.parameters) {
      const std::string path = fmt::format("optimizer.params.{}", key);
      Json* node = find_node(json_, path);
      if (node == nullptr || std::string_view(key) == "lr" || std::string_view(key) == "weight_decay") continue;
      if (is_auto(node) && std::string_view(key) == "eps") *node = settings_.args.adam_epsilon;  // as transformers
      if (!node->is_number() && !node->is_boolean()) {
        return refuse(path, fmt::format("'{}' is a number or a flag, found {}", path, dump_json(*node)), "");
      }
      pairs.push_back(fmt::format("{}={}", key, dump_json(*node)));
    }
    const std::string theirs = fmt::format("{}", fmt::join(pairs, ", "));
    if (settings_.has("optim_args")) {
      const std::string ours = settings_.args.optim_args.value_or("");
      if (without_spaces(ours) == without_spaces(theirs)) return;
      return refuse("optimizer.params",
                    fmt::format("'optimizer.params' ({}) of the DeepSpeed configuration contradicts 'optim_args' ({})",
                                theirs, ours),
                    "remove optim_args, or that block");
    }
    if (!pairs.empty()) settings_.args.optim_args = theirs;
  }

  void match_betas() {
    Json* betas = find_node(json_, "optimizer.params.betas");
    if (betas == nullptr) return;
    if (is_auto(betas)) {
      *betas = Json::array({settings_.args.adam_beta1, settings_.args.adam_beta2});
      return;
    }
    if (!betas->is_array() || betas->size() != 2) {
      return refuse("optimizer.params.betas", fmt::format("'betas' are two numbers, found {}", dump_json(*betas)), "");
    }
    match("optimizer.params.betas", "adam_beta1", &(*betas)[0]);
    match("optimizer.params.betas", "adam_beta2", &(*betas)[1]);
  }

  void match_scheduler() {
    const Json* type = find_node(json_, "scheduler.type");
    if (type == nullptr) return;
    constexpr std::array kTypes = {"WarmupLR", "WarmupDecayLR", "WarmupCosineLR", "OneCycle", "LRRangeTest"};
    const std::string name = text_of(type);
    if (std::find(kTypes.begin(), kTypes.end(), name) == kTypes.end()) {
      return refuse("scheduler.type",
                    fmt::format("the scheduler {} of the DeepSpeed configuration is not known", dump_json(*type)),
                    fmt::format("one of {}", fmt::join(kTypes, ", ")));
    }
    match("scheduler.params.warmup_max_lr", "learning_rate");
    if (Json* low = find_node(json_, "scheduler.params.warmup_min_lr"); is_auto(low)) *low = 0;
    match_warmup();
    TrainingArguments& args = settings_.args;
    const bool replaces = settings_.has("lr_scheduler_type") && args.lr_scheduler_type != name;
    settings_.notes.push_back(
        fmt::format("the schedule is the DeepSpeed configuration's {}{}", name,
                    replaces ? fmt::format(", in place of lr_scheduler_type \"{}\"", args.lr_scheduler_type) : ""));
    args.lr_scheduler_type = name;
    args.lr_scheduler_kwargs = dump_json(scheduler_arguments());
  }

  void match_warmup() {
    const Json* steps = find_node(json_, "scheduler.params.warmup_num_steps");
    if (steps == nullptr || is_auto(steps) || !steps->is_number_integer()) return;
    TrainingArguments& args = settings_.args;
    const auto given = static_cast<double>(steps->get<int64_t>());
    const auto contradicts = [&](const char* name, double ours) {
      contradict("scheduler.params.warmup_num_steps", dump_json(*steps), name, fmt::format("{}", ours));
    };
    if (settings_.has("warmup_steps") && args.warmup_steps != given)
      return contradicts("warmup_steps", args.warmup_steps);
    if (settings_.has("warmup_ratio") && args.warmup_ratio > 0) return contradicts("warmup_ratio", args.warmup_ratio);
    args.warmup_steps = given;
  }

  /// What the schedule takes: its numbers, less those that the run itself knows.
  Json scheduler_arguments() {
    // Left out, these are DeepSpeed's own defaults; "auto" is what the run has.
    Json arguments = Json::object();
    const std::string& type = settings_.args.lr_scheduler_type;
    if (type.starts_with("Warmup")) arguments["warmup_num_steps"] = 1000;
    if (type == "WarmupDecayLR") arguments["warmup_max_lr"] = 0.001;
    Json* params = find_node(json_, "scheduler.params");
    if (params == nullptr || !params->is_object()) return arguments;
    for (const auto& [key, value] : params->items()) {
      const ForeignKey* known = find_deepspeed_key("scheduler.params." + key);
      if (known == nullptr || std::string_view(known->harmless) != kUsed) continue;
      arguments[key] = is_auto(&value) ? Json(nullptr) : value;
    }
    return arguments;
  }

  void check_offload(const char* path) {
    const Json* device = find_node(json_, path);
    if (device == nullptr || device->is_null() || text_of(device) == "none") return;
    if (text_of(device) == "cpu") {
      const bool optimizer = std::string_view(path).find("offload_optimizer") != std::string_view::npos;
      if (optimizer && settings_.has("cpu_offload") && !settings_.args.cpu_offload) {
        return contradict(path, "\"cpu\"", "cpu_offload", "false");
      }
      settings_.args.cpu_offload = true;
      return;
    }
    refuse(path, fmt::format("'{}' {} is not part of this version", path, dump_json(*device)),
           "offload to \"cpu\", which is where the state lies already, or \"none\"");
  }

  Settings& settings_;
  Json json_;
  std::string file_;
  JsonPositions positions_;
  std::vector<std::string> idle_;  ///< what was asked for and does nothing, and why
  bool fits_ = true;
};

std::optional<Json> read_users_json(Settings& settings) {
  const std::string text = *settings.args.deepspeed;
  JsonPositions positions;
  const bool inline_object = text.starts_with('{');
  Json json = inline_object ? parse_json(text, settings.where("deepspeed").file) : read_json_file(text, &positions);
  if (!json.is_object()) {
    settings.refuse("deepspeed", "a DeepSpeed configuration is one JSON object of keys and values");
    return std::nullopt;
  }
  return DeepSpeedReader(settings, std::move(json), inline_object ? "" : text, std::move(positions)).read();
}

void say_what_it_means(Settings& settings) {
  const TrainingArguments& args = settings.args;
  settings.notes.push_back(
      fmt::format("DeepSpeed: ZeRO stage {} on one rank partitions nothing; clipping, accumulation, loss scaling and "
                  "schedule are its own",
                  args.deepspeed_stage));
  if (args.cpu_offload || args.deepspeed_stage == 3) {
    settings.notes.emplace_back(
        "DeepSpeed: CPU offload changes nothing on a CPU: that is where the state already lies");
  }
}

}  // namespace

void settle_deepspeed(Settings& settings) {
  TrainingArguments& args = settings.args;
  if (args.deepspeed && !args.use_deepspeed) {
    if (settings.has("use_deepspeed")) {
      args.deepspeed.reset();
      settings.without_effect.emplace_back("deepspeed (use_deepspeed is false)");
      return;
    }
    args.use_deepspeed = true;
  }
  if (!args.use_deepspeed) return;
  const std::optional<Json> json = args.deepspeed ? read_users_json(settings) : generated_deepspeed_config(args);
  if (!json) return;
  args.deepspeed_config = dump_json(*json, 2);
  say_what_it_means(settings);
}

}  // namespace lathe
