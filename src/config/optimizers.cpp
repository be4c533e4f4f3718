#include "config/optimizers.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string>

#include "config/field_value.h"

namespace lathe {
namespace {

struct Known {
  const char* name;
  OptimizerKind kind;
};

constexpr std::array kKnown = {
    Known{"adamw_torch", OptimizerKind::kAdamW},
    Known{"adamw_torch_fused", OptimizerKind::kAdamW},
    Known{"paged_adamw", OptimizerKind::kAdamW},
    Known{"paged_adamw_32bit", OptimizerKind::kAdamW},
    Known{"adamw_bnb_8bit", OptimizerKind::kAdamW8bit},
    Known{"adamw_8bit", OptimizerKind::kAdamW8bit},
    Known{"paged_adamw_8bit", OptimizerKind::kAdamW8bit},
    Known{"sgd", OptimizerKind::kSgd},
    Known{"adagrad", OptimizerKind::kAdagrad},
    Known{"rmsprop", OptimizerKind::kRmsprop},
    Known{"rmsprop_bnb", OptimizerKind::kRmsprop},
    Known{"rmsprop_bnb_32bit", OptimizerKind::kRmsprop},
    Known{"adafactor", OptimizerKind::kAdafactor},
    Known{"lion_32bit", OptimizerKind::kLion},
    Known{"paged_lion_32bit", OptimizerKind::kLion},
    Known{"lion_8bit", OptimizerKind::kLion8bit},
    Known{"paged_lion_8bit", OptimizerKind::kLion8bit},
    Known{"ademamix", OptimizerKind::kAdEMAMix},
    Known{"paged_ademamix_32bit", OptimizerKind::kAdEMAMix},
};

struct Foreign {
  const char* name;
  const char* advice;
};

constexpr const char* kSameAdamW = "its update is that of \"adamw_torch\": use that";
constexpr const char* kFewBytes =
    "\"adafactor\" and \"sgd\" keep least beside the weights, \"adamw_bnb_8bit\" moments in 8 bits";

/// transformers' other names, 5.23's and older ones.
constexpr std::array kForeign = {
    Foreign{"adamw_hf", "transformers dropped it; \"adamw_torch\" is the same AdamW"},
    Foreign{"adamw_apex_fused", kSameAdamW},
    Foreign{"adamw_torch_xla", kSameAdamW},
    Foreign{"adamw_torch_npu_fused", kSameAdamW},
    Foreign{"adamw_anyprecision",
            "moments are fp32 here, and bf16 weights have an fp32 master, which is what it makes up for: use "
            "\"adamw_torch\""},
    Foreign{"adamw_torch_4bit", kFewBytes},
    Foreign{"adamw_torch_8bit", kFewBytes},
    Foreign{"ademamix_8bit", "use \"ademamix\""},
    Foreign{"paged_ademamix_8bit", "use \"paged_ademamix_32bit\""},
    Foreign{"rmsprop_bnb_8bit", "use \"rmsprop_bnb_32bit\""},
    Foreign{"galore_adamw", kFewBytes},
    Foreign{"galore_adamw_8bit", kFewBytes},
    Foreign{"galore_adafactor", "use \"adafactor\""},
    Foreign{"galore_adamw_layerwise", kFewBytes},
    Foreign{"galore_adamw_8bit_layerwise", kFewBytes},
    Foreign{"galore_adafactor_layerwise", "use \"adafactor\""},
    Foreign{"apollo_adamw", kFewBytes},
    Foreign{"apollo_adamw_layerwise", kFewBytes},
    Foreign{"lomo", "\"sgd\" is its update, with the gradients kept until the norm is known"},
    Foreign{"adalomo", "use \"adafactor\""},
    Foreign{"grokadamw", "use \"adamw_torch\""},
    Foreign{"stable_adamw", "use \"adamw_torch\", or \"adafactor\", which bounds its updates in the same way"},
    Foreign{"schedule_free_radam", "averaging in place of a schedule is not part of this version: use \"adamw_torch\""},
    Foreign{"schedule_free_adamw", "averaging in place of a schedule is not part of this version: use \"adamw_torch\""},
    Foreign{"schedule_free_sgd", "averaging in place of a schedule is not part of this version: use \"sgd\""},
};

/// One key of optim_args, and where its value goes.
struct Argument {
  const char* key;
  double OptimizerSettings::*number = nullptr;
  bool OptimizerSettings::*flag = nullptr;
};

/// What transformers hands on to each; what it reads and the optimizer's parameter groups override is none of it.
std::vector<Argument> arguments_of(const std::string& optim) {
  using S = OptimizerSettings;
  if (optim == "sgd") return {{"momentum", &S::momentum}, {"dampening", &S::dampening}, {"nesterov", {}, &S::nesterov}};
  if (optim == "adagrad") return {{"lr_decay", &S::lr_decay}, {"eps", &S::epsilon}};
  if (optim == "rmsprop")
    return {{"momentum", &S::momentum}, {"alpha", &S::alpha}, {"eps", &S::epsilon}, {"centered", {}, &S::centered}};
  if (optim == "ademamix" || optim == "paged_ademamix_32bit")
    return {{"beta1", &S::beta1}, {"beta2", &S::beta2},     {"beta3", &S::beta3},    {"alpha", &S::alpha},
            {"eps", &S::epsilon}, {"t_alpha", &S::t_alpha}, {"t_beta3", &S::t_beta3}};
  return {};
}

[[noreturn]] void refuse(std::string what, std::string hint) {
  throw Error(ErrorKind::kConfig, std::move(what), {.file = "", .line = 0, .key = "optim_args"}, std::move(hint));
}

double read_number(const std::string& optim, const std::string& key, const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    refuse(fmt::format("{} is a number, found \"{}\"", key, text), "");
  }
  const bool share = key.starts_with("beta") || (key == "alpha" && optim == "rmsprop");
  const bool whole = key.starts_with("t_");
  if (number < 0 || (share && number >= 1) || (whole && number != std::floor(number))) {
    refuse(fmt::format("{} {} is out of range", key, text), "");
  }
  return number;
}

bool read_flag(const std::string& key, std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (text == "true" || text == "1" || text == "yes") return true;
  if (text == "false" || text == "0" || text == "no") return false;
  refuse(fmt::format("{} is true or false, found \"{}\"", key, text), "");
}

[[noreturn]] void refuse_argument(const std::string& optim, const std::string& key) {
  if (key == "weight_decay") {
    refuse("weight_decay reaches no parameter in transformers, whose groups bring their own",
           "use the key weight_decay");
  }
  std::vector<const char*> taken;
  for (const Argument& argument : arguments_of(optim)) taken.push_back(argument.key);
  if (taken.empty()) {
    refuse(fmt::format("\"{}\" takes no arguments in transformers, found '{}'", optim, key),
           "remove optim_args; adam_beta1, adam_beta2, adam_epsilon and weight_decay are keys of their own");
  }
  refuse(fmt::format("\"{}\" has no '{}'", optim, key), fmt::format("it takes {}", fmt::join(taken, ", ")));
}

void read_arguments(const std::string& optim, std::string text, OptimizerSettings& settings) {
  std::erase(text, ' ');
  for (const std::string& pair : split_list(text)) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || pair.find('=', equals + 1) != std::string::npos) {
      refuse(fmt::format("\"{}\" is not of the form key=value", pair), "write \"key=value, key=value\"");
    }
    const std::string key = pair.substr(0, equals), value = pair.substr(equals + 1);
    const std::vector<Argument> known = arguments_of(optim);
    const auto found = std::ranges::find_if(known, [&](const Argument& argument) { return argument.key == key; });
    if (found == known.end()) refuse_argument(optim, key);
    if (found->number != nullptr) {
      settings.*found->number = read_number(optim, key, value);
    } else {
      settings.*found->flag = read_flag(key, value);
    }
  }
  if (settings.t_beta3 != 0 && (settings.beta1 == 0 || settings.beta3 == 0)) {
    refuse("t_beta3 needs beta1 and beta3 above 0", "");
  }
  if (settings.nesterov && (settings.momentum == 0 || settings.dampening != 0)) {
    refuse("nesterov needs a momentum above 0 and no dampening", "");
  }
}

/// nullptr: `optim` does not take the name.
const Known* find_known(const std::string& optim) {
  const auto known = std::ranges::find_if(kKnown, [&](const Known& one) { return optim == one.name; });
  return known == kKnown.end() ? nullptr : &*known;
}

bool is_one_of(const std::string& optim, std::initializer_list<OptimizerKind> kinds) {
  const Known* known = find_known(optim);
  return known != nullptr && std::ranges::find(kinds, known->kind) != kinds.end();
}

}  // namespace

OptimizerSettings optimizer_settings(const TrainingArguments& args) {
  const Known* known = find_known(args.optim);
  LATHE_ASSERT(known != nullptr);
  OptimizerSettings settings{.kind = known->kind, .beta1 = args.adam_beta1, .beta2 = args.adam_beta2};
  if (settings.kind == OptimizerKind::kAdamW) {
    settings.epsilon = args.adam_epsilon;
    if (args.adam_decays_gradient) settings.kind = OptimizerKind::kAdam;
  }
  if (settings.kind == OptimizerKind::kAdamW8bit) settings.epsilon = args.adam_epsilon;
  if (settings.kind == OptimizerKind::kAdagrad) settings.epsilon = 1e-10;
  if (settings.kind == OptimizerKind::kAdEMAMix) settings.epsilon = args.adam_epsilon, settings.alpha = 5;
  read_arguments(args.optim, args.optim_args.value_or(""), settings);
  return settings;
}

const std::vector<const char*>& optimizer_names() {
  static const std::vector<const char*> names = [] {
    std::vector<const char*> all;
    for (const Known& one : kKnown) all.push_back(one.name);
    return all;
  }();
  return names;
}

const char* foreign_optimizer_advice(std::string_view name) {
  const auto found = std::ranges::find_if(kForeign, [&](const Foreign& one) { return name == one.name; });
  return found == kForeign.end() ? nullptr : found->advice;
}

bool is_adamw(const TrainingArguments& args) {
  return is_one_of(args.optim, {OptimizerKind::kAdamW});
}

bool reads_adam_betas(const TrainingArguments& args) {
  using enum OptimizerKind;
  return is_one_of(args.optim, {kAdamW, kAdamW8bit, kLion, kLion8bit, kAdEMAMix});
}

bool reads_adam_epsilon(const TrainingArguments& args) {
  using enum OptimizerKind;
  return is_one_of(args.optim, {kAdamW, kAdamW8bit, kAdEMAMix});
}

bool uses_loraplus(const TrainingArguments& args) {
  return args.use_lora && args.loraplus_lr_ratio > 0;
}

bool is_paged(const TrainingArguments& args) {
  return args.optim.starts_with("paged_");
}

}  // namespace lathe
