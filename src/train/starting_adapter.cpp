#include "train/starting_adapter.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <filesystem>

#include "train/lora_target.h"

namespace lathe {
namespace {

/// A folder is written down in full, so that peft finds it from anywhere; a name stays a name.
std::string base_model_name(const TrainingArguments& args) {
  namespace fs = std::filesystem;
  const std::string& name = args.model_name_or_path;
  return fs::is_directory(name) ? fs::canonical(name).string() : name;
}

/// An adapter's own settings count, but nothing that was asked for is left out silently.
void check_asked_for(const TrainingArguments& args, const LoraConfig& loaded, const ModelShape& shape) {
  const auto refuse = [&](const char* key, const std::string& what, const char* advice) {
    throw Error(ErrorKind::kConfig, fmt::format("the adapter {} {}", *args.adapter_name_or_path, what), {.key = key},
                advice);
  };
  const char* const own_count = "remove the key: the adapter's own settings count";
  const LoraConfig asked = lora_config(args, "");
  check_modules_to_save(asked.modules_to_save, shape, args.use_qlora);
  const auto copies = copied_shapes(loaded, shape);
  for (const auto& [id, extents] : copied_shapes(asked, shape)) {
    if (!copies.contains(id)) refuse("modules_to_save", fmt::format("holds no copy of {}", module_name(id)), own_count);
  }
  if (asked.modules_to_save.copies_tied(shape) && !loaded.modules_to_save.copies_tied(shape)) {
    refuse("ensure_weight_tying", "holds embeddings that have parted", own_count);
  }
  if (args.use_dora && !loaded.use_dora) refuse("use_dora", "is LoRA without magnitudes", own_count);
}

std::string target_modules_text(const LoraConfig& config) {
  const auto* names = std::get_if<std::vector<std::string>>(&config.target_modules);
  return names == nullptr ? std::get<std::string>(config.target_modules) : fmt::format("{}", fmt::join(*names, ","));
}

StartingAdapter read_adapter(const TrainingArguments& args, const ModelShape& shape) {
  LoadedAdapter loaded = load_adapter(*args.adapter_name_or_path, shape);
  check_asked_for(args, loaded.config, shape);
  check_modules_to_save(loaded.config.modules_to_save, shape, args.use_qlora);
  loaded.config.dropout = args.lora_dropout;
  loaded.config.base_model_name_or_path = base_model_name(args);
  return {std::move(loaded.config), std::move(loaded.weights)};
}

}  // namespace

std::optional<StartingAdapter> starting_adapter(const TrainingArguments& args, const ModelShape& shape) {
  if (args.adapter_name_or_path) return read_adapter(args, shape);
  if (!args.use_lora && !args.use_qlora) return std::nullopt;
  StartingAdapter adapter{lora_config(args, base_model_name(args)), {}};
  check_modules_to_save(adapter.config.modules_to_save, shape, args.use_qlora);
  (void)select_modules(adapter.config, shape);
  return adapter;
}

void take_settings(TrainingArguments& args, const LoraConfig& config) {
  args.modules_to_save = config.modules_to_save.names;
  args.ensure_weight_tying = config.modules_to_save.ensure_weight_tying;
  args.use_dora = config.use_dora;
  args.lora_r = config.r;
  args.lora_target_modules = target_modules_text(config);
}

}  // namespace lathe
