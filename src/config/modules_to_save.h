#pragma once
// modules_to_save: modules that are copied, trained whole beside the adapter and saved with it. peft's matching.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/model_shape.h"

namespace lathe {

struct ModulesToSave {
  std::vector<std::string> names;    ///< "embed_tokens", "lm_head", "norm", "mlp", "layers.3.mlp.up_proj", …
  bool ensure_weight_tying = false;  ///< tied embeddings that are named stay one matrix

  /// Whether a name is the end of the module's full name: "norm" is every norm. As in peft, whole words do not count.
  [[nodiscard]] bool names_module(std::string_view module) const;
  /// Whether a parameter of this module is copied: it is named, or lies in a module that is ("mlp", "layers.3").
  [[nodiscard]] bool covers(std::string_view module) const;
  /// Whether peft keeps adapters off the module: a name is its own or that of a module it lies in, in whole words.
  [[nodiscard]] bool keeps_adapters_off(std::string_view module) const;
  /// Whether tied embeddings are copied as the one matrix that they are.
  [[nodiscard]] bool copies_tied(const ModelShape& shape) const;
  /// Whether embed_tokens and lm_head, one matrix in the base model, are two behind the copy: a tied one of which a
  /// copy trains leaves the other frozen as it was.
  [[nodiscard]] bool unties(const ModelShape& shape) const;
};

inline constexpr const char* kTableModule = "model.embed_tokens";

/// A parameter of the model itself.
struct ModelParameter {
  std::string module;  ///< "model.layers.3.input_layernorm"
  int64_t elements = 0;
  int64_t rows = 0;  ///< of a matrix; 0: a norm's or a bias
};
/// Those of the whole model, in no particular order; tied embeddings once, as model.embed_tokens.
[[nodiscard]] std::vector<ModelParameter> model_parameters(const ModelShape& shape);
/// Those that are copied; tied embeddings that stay one stand there once, as model.embed_tokens.
[[nodiscard]] std::vector<ModelParameter> copied_parameters(const ModulesToSave& modules, const ModelShape& shape);

/// Every name is one of the model, no module lies in another one that is named too, and none is quantised.
/// @param quantised the projections are  @throws Error(kConfig) naming what is wrong
void check_modules_to_save(const ModulesToSave& modules, const ModelShape& shape, bool quantised);

}  // namespace lathe
