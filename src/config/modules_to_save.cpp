#include "config/modules_to_save.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>

#include "config/target_modules.h"

namespace lathe {
namespace {

constexpr const char* kKey = "modules_to_save";
constexpr const char* kHead = "lm_head";

/// The module and those it lies in, up to its decoder layer: "model.layers.3.mlp.up_proj", "model.layers.3.mlp",
/// "model.layers.3".
std::vector<std::string_view> with_outer_modules(std::string_view module) {
  std::vector<std::string_view> all = {module};
  if (!module.starts_with("model.layers.")) return all;
  while (std::count(module.begin(), module.end(), '.') > 2) {
    module = module.substr(0, module.rfind('.'));
    all.push_back(module);
  }
  return all;
}

bool is_embedding_name(const std::string& name) {
  const std::string last = name.substr(name.rfind('.') + 1);
  return last == "embed_tokens" || last == kHead;
}

/// Both ends of tied embeddings among them.
std::vector<ModelParameter> all_parameters(const ModelShape& shape) {
  const int64_t table = shape.vocab_size * shape.hidden_size;
  std::vector<ModelParameter> all = {
      {kTableModule, table, shape.vocab_size}, {kHead, table, shape.vocab_size}, {"model.norm", shape.hidden_size}};
  for (int64_t layer = 0; layer < shape.num_layers; ++layer) {
    const std::string inside = fmt::format("model.layers.{}.", layer);
    for (const LinearModule& linear : linear_modules(shape, layer)) {
      all.push_back({linear.name, linear.in * linear.out, linear.out});
      const bool o = linear.name.ends_with("o_proj"), qkv = !o && linear.name.find(".self_attn.") != std::string::npos;
      if ((o && shape.o_bias) || (qkv && shape.qkv_bias)) all.push_back({linear.name, linear.out});
    }
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
      all.push_back({inside + norm, shape.hidden_size});
    }
    if (!shape.qk_norm) continue;
    for (const char* norm : {"self_attn.q_norm", "self_attn.k_norm"}) all.push_back({inside + norm, shape.head_dim});
  }
  return all;
}

[[noreturn]] void refuse(const std::string& what, const std::string& advice) {
  throw Error(ErrorKind::kConfig, what, {.key = kKey}, advice);
}

void check_name(const std::string& name, const std::vector<ModelParameter>& all) {
  const bool any = std::any_of(all.begin(), all.end(), [&](const ModelParameter& parameter) {
    return ModulesToSave{.names = {name}}.covers(parameter.module);
  });
  const bool word =
      !name.empty() &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.0123456789") == std::string::npos;
  if (any && word) return;
  refuse(fmt::format("'{}' matches no module of the model", name),
         "choose from embed_tokens, lm_head, norm, input_layernorm, post_attention_layernorm, the projections' names, "
         "mlp, self_attn, or a full name such as model.layers.3.mlp");
}

}  // namespace

bool ModulesToSave::names_module(std::string_view module) const {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return module.ends_with(name); });
}

bool ModulesToSave::covers(std::string_view module) const {
  const std::vector<std::string_view> modules = with_outer_modules(module);
  return std::any_of(modules.begin(), modules.end(), [&](std::string_view one) { return names_module(one); });
}

bool ModulesToSave::keeps_adapters_off(std::string_view module) const {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return fmt::format(".{}.", module).find(fmt::format(".{}.", name)) != std::string::npos;
  });
}

bool ModulesToSave::copies_tied(const ModelShape& shape) const {
  return shape.tie_word_embeddings && ensure_weight_tying && std::any_of(names.begin(), names.end(), is_embedding_name);
}

bool ModulesToSave::unties(const ModelShape& shape) const {
  return shape.tie_word_embeddings && !copies_tied(shape) && (covers(kTableModule) || covers(kHead));
}

std::vector<ModelParameter> model_parameters(const ModelShape& shape) {
  std::vector<ModelParameter> all = all_parameters(shape);
  if (shape.tie_word_embeddings) std::erase_if(all, [](const ModelParameter& one) { return one.module == kHead; });
  return all;
}

std::vector<ModelParameter> copied_parameters(const ModulesToSave& modules, const ModelShape& shape) {
  const bool tied = modules.copies_tied(shape);
  std::vector<ModelParameter> copied = all_parameters(shape);
  std::erase_if(copied, [&](const ModelParameter& one) {
    if (tied && (one.module == kTableModule || one.module == kHead)) return one.module == kHead;
    return !modules.covers(one.module);
  });
  return copied;
}

void check_modules_to_save(const ModulesToSave& modules, const ModelShape& shape, bool quantised) {
  const std::vector<ModelParameter> all = all_parameters(shape);
  for (const std::string& name : modules.names) check_name(name, all);
  for (const ModelParameter& one : all) {
    const std::vector<std::string_view> around = with_outer_modules(one.module);
    const auto named = std::count_if(around.begin(), around.end(),
                                     [&](std::string_view module) { return modules.names_module(module); });
    if (named > 1) {
      refuse(fmt::format("{} is named, and so is a module it lies in", one.module), "name one of the two");
    }
    if (quantised && named == 1 && one.module.ends_with("_proj")) {
      refuse(fmt::format("{} is held in few bits (use_qlora), which cannot train", one.module),
             "name embed_tokens, lm_head or norms, or set use_qlora to false");
    }
  }
}

}  // namespace lathe
