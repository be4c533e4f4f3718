#include "config/target_modules.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <regex>

#include "config/field_value.h"

namespace lathe {
namespace {

std::regex compile(const std::string& expression) {
  try {
    return std::regex(expression, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    throw Error(ErrorKind::kConfig, fmt::format("\"{}\" is no regular expression ({})", expression, error.what()),
                {.file = {}, .line = 0, .key = "lora_target_modules"});
  }
}

}  // namespace

std::vector<LinearModule> linear_modules(const ModelShape& shape, int64_t layer) {
  const int64_t h = shape.hidden_size, i = shape.intermediate_size;
  const int64_t q = shape.num_heads * shape.head_dim, kv = shape.num_kv_heads * shape.head_dim;
  const std::string attention = fmt::format("model.layers.{}.self_attn.", layer);
  const std::string mlp = fmt::format("model.layers.{}.mlp.", layer);
  return {{attention + "q_proj", h, q}, {attention + "k_proj", h, kv}, {attention + "v_proj", h, kv},
          {attention + "o_proj", q, h}, {mlp + "gate_proj", h, i},     {mlp + "up_proj", h, i},
          {mlp + "down_proj", i, h}};
}

bool is_expression(const std::string& target_modules) {
  return target_modules.find_first_of("\\^$*+?()[]{}|") != std::string::npos;
}

std::vector<LinearModule> adapted_modules(const ModelShape& shape, const std::string& target_modules,
                                          const ModulesToSave& saved) {
  const bool all = target_modules == "all-linear", expression = is_expression(target_modules);
  const std::vector<std::string> names = split_list(target_modules);
  const std::regex regex = expression ? compile(target_modules) : std::regex();
  const auto chosen = [&](const std::string& module) {
    if (saved.keeps_adapters_off(module)) return false;
    if (all) return true;
    if (expression) return std::regex_match(module, regex);
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return module == name || module.ends_with("." + name); });
  };
  std::vector<LinearModule> modules;
  for (int64_t layer = 0; layer < shape.num_layers; ++layer) {
    for (LinearModule& module : linear_modules(shape, layer)) {
      if (chosen(module.name)) modules.push_back(std::move(module));
    }
  }
  return modules;
}

}  // namespace lathe
