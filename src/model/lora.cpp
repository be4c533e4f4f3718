#include "model/lora.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "base/memory_ledger.h"
#include "base/mt19937.h"

namespace lathe {
namespace {

constexpr std::array<Site, 7> kProjections = {Site::kQ,    Site::kK,  Site::kV,   Site::kO,
                                              Site::kGate, Site::kUp, Site::kDown};
constexpr const char* kKey = "lora_target_modules";
constexpr const char* kEmbeddings[] = {"model.embed_tokens", "lm_head"};

bool names_module(const std::string& entry, const std::string& module) {
  return module == entry || module.ends_with("." + entry);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Decoder projections in the order of transformers' named_modules().
std::vector<ParameterId> all_projections(const ModelShape& shape) {
  std::vector<ParameterId> ids;
  for (int64_t layer = 0; layer < shape.num_layers; ++layer) {
    for (const Site site : kProjections) ids.push_back({BlockId::decoder(layer), site, Part::kWeight});
  }
  return ids;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Site site : kProjections) names.emplace_back(projection_name(site));
  return names;
}

[[noreturn]] void no_match(const std::string& entry) {
  throw Error(ErrorKind::kConfig, fmt::format("'{}' matches no module of the model", entry), {.key = kKey},
              fmt::format("choose from {}, or \"all-linear\"", fmt::join(all_names(), ", ")));
}

// Modules that peft could adapt but that are left whole here.
void refuse_others(const ModulesToSave& saved, const auto& matches) {
  for (const char* module : kEmbeddings) {
    if (!matches(std::string(module)) || saved.keeps_adapters_off(module)) continue;
    throw Error(ErrorKind::kConfig, fmt::format("an adapter on {} is not supported", module), {.key = kKey},
                fmt::format("choose from {}, or \"all-linear\"", fmt::join(all_names(), ", ")));
  }
}

// What is trained whole has no adapter; peft cannot do both either.
void leave_out_saved(std::vector<ParameterId>& chosen, const ModulesToSave& saved) {
  std::erase_if(chosen, [&](const ParameterId& id) { return saved.keeps_adapters_off(module_name(id)); });
  for (const ParameterId& id : chosen) {
    if (!saved.covers(module_name(id))) continue;
    throw Error(
        ErrorKind::kConfig, fmt::format("{} would have an adapter and a copy that trains whole", module_name(id)),
        {.key = "modules_to_save"}, fmt::format("name it in whole words, as in \"{}\"", projection_name(id.site)));
  }
}

std::vector<ParameterId> select_by_names(const std::vector<std::string>& names, const ModelShape& shape,
                                         const ModulesToSave& saved) {
  const auto matches = [&](const std::string& module) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& entry) { return names_module(entry, module); });
  };
  refuse_others(saved, matches);
  std::vector<ParameterId> chosen = all_projections(shape);
  for (const std::string& entry : names) {
    const bool any = std::any_of(chosen.begin(), chosen.end(),
                                 [&](const ParameterId& id) { return names_module(entry, module_name(id)); }) ||
                     std::any_of(std::begin(kEmbeddings), std::end(kEmbeddings),
                                 [&](const char* module) { return names_module(entry, module); });
    if (!any) no_match(entry);
  }
  std::erase_if(chosen, [&](const ParameterId& id) { return !matches(module_name(id)); });
  if (names.empty()) no_match("");
  return chosen;
}

std::vector<ParameterId> select_by_expression(const std::string& expression, const ModelShape& shape,
                                              const ModulesToSave& saved) {
  std::regex regex;
  try {
    regex.assign(expression, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    throw Error(ErrorKind::kConfig, fmt::format("'{}' is not a regular expression ({})", expression, error.what()),
                {.key = kKey});
  }
  refuse_others(saved, [&](const std::string& module) { return std::regex_match(module, regex); });
  std::vector<ParameterId> chosen = all_projections(shape);
  std::erase_if(chosen, [&](const ParameterId& id) { return !std::regex_match(module_name(id), regex); });
  if (chosen.empty()) no_match(expression);
  return chosen;
}

// Kaiming uniform with a = √5, worked out in double as torch.nn.init does.
double bound_of(int64_t fan_in) {
  const double slope = std::sqrt(5.0);
  const double gain = std::sqrt(2.0 / (1 + slope * slope));
  return std::sqrt(3.0) * (gain / std::sqrt(static_cast<double>(fan_in)));
}

}  // namespace

double LoraConfig::scale() const {
  return use_rslora ? alpha / std::sqrt(static_cast<double>(r)) : alpha / static_cast<double>(r);
}

std::vector<ParameterId> select_modules(const LoraConfig& config, const ModelShape& shape) {
  const ModulesToSave& saved = config.modules_to_save;
  std::vector<ParameterId> chosen;
  if (const auto* names = std::get_if<std::vector<std::string>>(&config.target_modules)) {
    chosen = select_by_names(*names, shape, saved);
  } else {
    const auto& expression = std::get<std::string>(config.target_modules);
    const bool all = lower(expression) == "all-linear";
    chosen = all ? all_projections(shape) : select_by_expression(expression, shape, saved);
  }
  leave_out_saved(chosen, saved);
  if (chosen.empty()) {
    throw Error(ErrorKind::kConfig, "every module that it names is trained whole by modules_to_save", {.key = kKey},
                "leave a module for the adapter");
  }
  return chosen;
}

std::map<ParameterId, std::vector<int64_t>> copied_shapes(const LoraConfig& config, const ModelShape& shape) {
  const ModulesToSave& saved = config.modules_to_save;
  auto shapes = expected_shapes(shape_behind(config, shape));
  const bool tied = saved.copies_tied(shape);
  std::erase_if(shapes, [&](const auto& one) {
    return !(saved.covers(module_name(one.first)) || (tied && one.first == kTableId));
  });
  return shapes;
}

ModelShape shape_behind(const LoraConfig& config, ModelShape shape) {
  if (config.modules_to_save.unties(shape)) shape.tie_word_embeddings = false;
  return shape;
}

void add_adapter(TensorMap& base, const LoraConfig& config, const ModelShape& shape, const TensorMap& adapter) {
  if (config.modules_to_save.unties(shape)) base[kHeadId] = base.at(kTableId);
  for (const auto& [id, tensor] : adapter) base[id] = tensor;
}

TensorMap init_lora_weights(const LoraConfig& config, const ModelShape& shape, uint64_t seed,
                            at::ScalarType base_dtype) {
  const MemoryScope scope(MemoryClass::kWeights);
  const auto shapes = expected_shapes(shape);
  Mt19937 generator(seed);
  TensorMap adapter;
  for (const ParameterId& module : select_modules(config, shape)) {
    const std::vector<int64_t>& extents = shapes.at(module);
    const int64_t out = extents[0], in = extents[1];
    // The constructors of A and B draw first values that are then drawn again (A) or set to zero (B).
    generator.discard(static_cast<uint64_t>(config.r * (in + out)));
    at::Tensor a = at::empty({config.r, in}, at::dtype(at::kFloat));
    generator.uniform(a.mutable_data_ptr<float>(), a.numel(), -bound_of(in), bound_of(in));
    if (base_dtype != at::kFloat) a.copy_(a.to(base_dtype));
    adapter[{module.block, module.site, Part::kLoraA}] = a;
    adapter[{module.block, module.site, Part::kLoraB}] = at::zeros({out, config.r}, at::dtype(at::kFloat));
    if (config.use_dora)
      adapter[{module.block, module.site, Part::kLoraMagnitude}] = at::ones({out}, at::dtype(at::kFloat));
  }
  return adapter;
}

}  // namespace lathe
