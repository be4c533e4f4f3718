// adapter_config.json and adapter_model.safetensors, as peft 0.21 writes and reads them.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "model/lora.h"
#include "model/tensor_file.h"
#include "ops/dtype.h"

namespace lathe {
namespace {

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";

Json number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<int64_t>(value);
  return value;
}

// A list as given; an expression as given, but "all-linear" as the names it stands for, as peft does.
Json targets_of(const LoraConfig& config, const std::map<ParameterId, TensorToSave>& adapter) {
  if (const auto* names = std::get_if<std::vector<std::string>>(&config.target_modules)) return *names;
  const auto& expression = std::get<std::string>(config.target_modules);
  if (expression.find("linear") == std::string::npos) return expression;
  std::set<std::string> names;
  for (const auto& [id, tensor] : adapter) {
    if (id.part == Part::kLoraA) names.emplace(projection_name(id.site));
  }
  return names;
}

// null for none. Tied embeddings that stay one are named as the embedding, as peft has rewritten the list by then.
Json saved_modules(const ModulesToSave& modules, const ModelShape& shape) {
  if (modules.names.empty()) return nullptr;
  std::vector<std::string> names = modules.names;
  if (!modules.copies_tied(shape)) return names;
  const std::string table = module_name({BlockId::embedding()});
  if (std::find(names.begin(), names.end(), table) == names.end()) names.push_back(table);
  const auto head = std::find(names.begin(), names.end(), "lm_head");
  if (head != names.end()) names.erase(head);
  return names;
}

Json config_json(const LoraConfig& config, const ModelShape& shape,
                 const std::map<ParameterId, TensorToSave>& adapter) {
  Json json = Json::object();
  for (const char* key : {"alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config",
                          "exclude_modules", "kasa_config", "layer_replication", "layers_pattern",
                          "layers_to_transform", "lora_ga_config", "megatron_config", "monteclora_config", "revision",
                          "target_parameters", "trainable_token_indices", "use_bdlora", "velora_config"}) {
    json[key] = nullptr;
  }
  for (const char* key : {"fan_in_fan_out", "lora_bias", "use_qalora"}) {
    json[key] = false;
  }
  for (const char* key : {"alpha_pattern", "loftq_config", "rank_pattern"}) json[key] = Json::object();
  json["modules_to_save"] = saved_modules(config.modules_to_save, shape);
  json["ensure_weight_tying"] = config.modules_to_save.ensure_weight_tying;
  json["base_model_name_or_path"] = config.base_model_name_or_path;
  json["bias"] = "none";
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  json["lora_alpha"] = number(config.alpha);
  json["lora_dropout"] = config.dropout;
  json["megatron_core"] = "megatron.core";
  json["peft_type"] = "LORA";
  json["peft_version"] = "0.21.2";
  json["qalora_group_size"] = 16;
  json["r"] = config.r;
  json["target_modules"] = targets_of(config, adapter);
  json["task_type"] = "CAUSAL_LM";
  json["use_dora"] = config.use_dora;
  json["use_rslora"] = config.use_rslora;
  Json sorted = Json::object();
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  for (const std::string& key : keys) sorted[key] = json[key];
  return sorted;
}

// Anything but absent, null, false and empty.
bool in_use(const Json& json, const char* key) {
  if (!json.contains(key)) return false;
  const Json& value = json[key];
  if (value.is_null() || (value.is_boolean() && !value.get<bool>())) return false;
  return !((value.is_object() || value.is_array() || value.is_string()) && value.empty());
}

void refuse(const std::string& file, const std::string& key, const std::string& what) {
  throw Error(ErrorKind::kData, what, {.file = file, .key = key}, "only LoRA and DoRA adapters are read");
}

void refuse_other_kinds(const Json& json, const std::string& file) {
  const std::string type = json.value("peft_type", "");
  if (type != "LORA") refuse(file, "peft_type", fmt::format("is '{}', an adapter of another kind than LoRA", type));
  if (json.contains("bias") && json["bias"] != "none") {
    refuse(file, "bias", fmt::format("is {}; adapters that train biases are not supported", json["bias"].dump()));
  }
  for (const char* key :
       {"lora_bias", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "layer_replication", "layers_to_transform",
        "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config", "use_qalora",
        "use_bdlora", "kasa_config", "velora_config", "monteclora_config"}) {
    if (in_use(json, key)) refuse(file, key, "is in use, which is not supported");
  }
  // These change the base model's own weights when the adapter is made.
  if (!json.contains("init_lora_weights") || !json["init_lora_weights"].is_string()) return;
  const auto kind = json["init_lora_weights"].get<std::string>();
  for (const char* changed : {"pissa", "olora", "corda", "loftq", "mica", "lora_ga"}) {
    if (kind.starts_with(changed)) {
      refuse(file, "init_lora_weights", fmt::format("is '{}', which changes the base model's weights", kind));
    }
  }
}

template <typename T>
T required(const Json& json, const char* key, const std::string& file) {
  try {
    return json.at(key).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kData, fmt::format("'{}' is missing or of another type than expected", key),
                {.file = file, .key = key});
  }
}

LoraConfig read_config(const std::string& file) {
  const Json json = read_json_file(file);
  if (!json.is_object()) throw Error(ErrorKind::kData, "is no JSON object", {.file = file});
  refuse_other_kinds(json, file);
  LoraConfig config;
  config.r = required<int64_t>(json, "r", file);
  if (config.r <= 0) throw Error(ErrorKind::kData, "must be positive", {.file = file, .key = "r"});
  config.alpha = required<double>(json, "lora_alpha", file);
  if (json.contains("lora_dropout")) config.dropout = required<double>(json, "lora_dropout", file);
  if (json.contains("use_rslora")) config.use_rslora = required<bool>(json, "use_rslora", file);
  if (json.contains("use_dora")) config.use_dora = required<bool>(json, "use_dora", file);
  if (in_use(json, "modules_to_save")) {
    config.modules_to_save.names = required<std::vector<std::string>>(json, "modules_to_save", file);
  }
  if (json.contains("ensure_weight_tying")) {
    config.modules_to_save.ensure_weight_tying = required<bool>(json, "ensure_weight_tying", file);
  }
  if (in_use(json, "base_model_name_or_path")) {
    config.base_model_name_or_path = required<std::string>(json, "base_model_name_or_path", file);
  }
  if (json.contains("target_modules") && json["target_modules"].is_string()) {
    config.target_modules = json["target_modules"].get<std::string>();
  } else {
    config.target_modules = required<std::vector<std::string>>(json, "target_modules", file);
  }
  return config;
}

std::string shape_text(at::IntArrayRef shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Shape of each tensor that an adapter with this config has.
std::map<ParameterId, std::vector<int64_t>> adapter_shapes(const LoraConfig& config, const ModelShape& shape) {
  const auto base = expected_shapes(shape);
  check_modules_to_save(config.modules_to_save, shape, false);
  std::map<ParameterId, std::vector<int64_t>> shapes = copied_shapes(config, shape);
  for (const ParameterId& module : select_modules(config, shape)) {
    const std::vector<int64_t>& extents = base.at(module);
    shapes[{module.block, module.site, Part::kLoraA}] = {config.r, extents[1]};
    shapes[{module.block, module.site, Part::kLoraB}] = {extents[0], config.r};
    if (config.use_dora) shapes[{module.block, module.site, Part::kLoraMagnitude}] = {extents[0]};
  }
  return shapes;
}

// A and B as a copy in fp32: they are trained on, and a view of the file is read-only.
at::Tensor adapter_tensor(const SafetensorsFile& file, const TensorEntry& entry, Part part) {
  const at::Tensor stored = map_tensor(file, entry);
  return is_adapter(part) ? stored.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true) : stored;
}

}  // namespace

FilesToSave adapter_files(const LoraConfig& config, const ModelShape& shape,
                          std::map<ParameterId, TensorToSave> adapter) {
  std::string text = dump_json(config_json(config, shape, adapter), 2) + "\n";
  std::vector<TensorToSave> tensors;
  if (config.modules_to_save.copies_tied(shape)) {
    tensors.push_back(adapter.at(kTableId));
    tensors.back().name = peft_name(kHeadId);
  }
  for (auto& [id, tensor] : adapter) {
    LATHE_ASSERT(tensor.name == peft_name(id) && (!is_adapter(id.part) || tensor.dtype == DType::kF32));
    tensors.push_back(std::move(tensor));
  }
  std::ranges::sort(tensors, {}, &TensorToSave::name);
  return {{.name = kWeightsFile, .produced = std::move(tensors)}, {.name = kConfigFile, .text = std::move(text)}};
}

void save_adapter(const std::string& directory, const LoraConfig& config, const ModelShape& shape,
                  const TensorMap& adapter) {
  NamedTensors owners;  // of the bytes until they are written
  for (const auto& [id, tensor] : adapter) {
    owners.emplace_back(peft_name(id), (is_adapter(id.part) ? tensor.to(at::kFloat) : tensor).contiguous());
  }
  std::vector<TensorToSave> entries = entries_of(owners);
  std::map<ParameterId, TensorToSave> tensors;
  for (auto entry = entries.begin(); const auto& [id, tensor] : adapter) tensors[id] = std::move(*entry++);
  save_files(directory, adapter_files(config, shape, std::move(tensors)));
}

LoadedAdapter load_adapter(const std::string& directory, const ModelShape& shape) {
  const std::filesystem::path folder(directory);
  const std::string weights_path = (folder / kWeightsFile).string();
  LoadedAdapter loaded{.config = read_config((folder / kConfigFile).string()), .weights = {}};
  const auto expected = adapter_shapes(loaded.config, shape);
  const SafetensorsFile file = SafetensorsFile::open(weights_path);
  for (const auto& [name, entry] : file.tensors()) {
    std::optional<ParameterId> id = parse_hf_name(name);
    // Tied embeddings that stay one stand in the file twice.
    if (id == kHeadId && loaded.config.modules_to_save.copies_tied(shape)) id = kTableId;
    const auto found = id ? expected.find(*id) : expected.end();
    if (found == expected.end()) {
      throw Error(ErrorKind::kData,
                  "tensor belongs to no module that target_modules or modules_to_save names in this model",
                  {.file = weights_path, .key = name}, "the adapter was made for another model");
    }
    if (entry.shape != found->second) {
      throw Error(
          ErrorKind::kData,
          fmt::format("has shape {} where the model asks for {}", shape_text(entry.shape), shape_text(found->second)),
          {.file = weights_path, .key = name}, "the adapter was made for another model");
    }
    at::Tensor tensor = adapter_tensor(file, entry, id->part);
    const auto [place, first] = loaded.weights.emplace(*id, tensor);
    if (!first && !at::equal(place->second, tensor)) {
      throw Error(ErrorKind::kData, "differs from the embedding although ensure_weight_tying makes them one",
                  {.file = weights_path, .key = name});
    }
  }
  for (const auto& [id, extents] : expected) {
    if (!loaded.weights.contains(id)) {
      throw Error(ErrorKind::kData, "tensor is missing", {.file = weights_path, .key = peft_name(id)});
    }
  }
  return loaded;
}

}  // namespace lathe
