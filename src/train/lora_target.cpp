#include "train/lora_target.h"

#include <algorithm>
#include <cctype>

#include "config/trained_tensors.h"

namespace lathe {
namespace {

bool is_list_of_names(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == ',' || c == ' ' || c == '.';
  });
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : text + ",") {
    if (c == ' ') continue;
    if (c != ',') {
      name += c;
    } else if (!name.empty()) {
      names.push_back(std::move(name));
      name.clear();
    }
  }
  return names;
}

}  // namespace

LoraConfig lora_config(const TrainingArguments& args, const std::string& base_model) {
  LoraConfig config;
  config.r = args.lora_r;
  config.alpha = args.lora_alpha;
  config.dropout = args.lora_dropout;
  config.use_rslora = args.use_rslora;
  config.use_dora = args.use_dora;
  config.modules_to_save = modules_to_save(args);
  config.base_model_name_or_path = base_model;
  const std::string target = args.lora_target_modules.value_or("all-linear");
  if (target == "all" || target == "all-linear") {
    config.target_modules = std::string("all-linear");
  } else if (is_list_of_names(target)) {
    config.target_modules = split_names(target);
  } else {
    config.target_modules = target;
  }
  return config;
}

}  // namespace lathe
