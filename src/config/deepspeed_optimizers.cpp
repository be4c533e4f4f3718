#include "config/deepspeed_optimizers.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace lathe {
namespace {

std::string lower(std::string_view text) {
  std::string all(text);
  std::ranges::transform(all, all.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return all;
}

}  // namespace

bool DeepSpeedOptimizer::is_adam() const {
  return std::string_view(optim) == "adamw_torch";
}

bool DeepSpeedOptimizer::takes(std::string_view parameter) const {
  return std::ranges::any_of(parameters, [&](const char* one) { return parameter == one; });
}

const DeepSpeedOptimizer* find_deepspeed_optimizer(std::string_view type) {
  static const std::vector<DeepSpeedOptimizer> own = {
      {"Adam", "adamw_torch", {"lr", "betas", "eps", "weight_decay", "adam_w_mode"}},
      {"AdamW", "adamw_torch", {"lr", "betas", "eps", "weight_decay", "adam_w_mode"}},
      {"Adagrad", "adagrad", {"lr", "lr_decay", "eps", "weight_decay"}},
  };
  static const std::vector<DeepSpeedOptimizer> torchs = {
      {"SGD", "sgd", {"lr", "momentum", "dampening", "nesterov", "weight_decay"}},
      {"RMSprop", "rmsprop", {"lr", "momentum", "alpha", "eps", "centered", "weight_decay"}},
  };
  for (const DeepSpeedOptimizer& one : own) {
    if (lower(one.name) == lower(type)) return &one;
  }
  const auto found = std::ranges::find_if(torchs, [&](const DeepSpeedOptimizer& one) { return type == one.name; });
  return found == torchs.end() ? nullptr : &*found;
}

const char* deepspeed_optimizer_advice(std::string_view type) {
  if (lower(type) == "lion") {
    return "DeepSpeed's Lion also moves weights that have neither gradient nor mean: leave the block out and set "
           "\"optim\": \"lion_32bit\", which does not";
  }
  return "use \"AdamW\", \"Adam\", \"Adagrad\", \"SGD\" or \"RMSprop\", or leave the block out and set 'optim'";
}

}  // namespace lathe
