#pragma once
// lora_target_modules as the settings keep it: names joined by commas, one regular expression, or "all-linear".
#include <cstdint>
#include <string>
#include <vector>

#include "config/model_shape.h"
#include "config/modules_to_save.h"

namespace lathe {

/// One linear projection of a decoder layer.
struct LinearModule {
  std::string name;  ///< "model.layers.3.self_attn.q_proj"
  int64_t in = 0, out = 0;
};

/// Those of one layer, in the order of transformers' named_modules().
[[nodiscard]] std::vector<LinearModule> linear_modules(const ModelShape& shape, int64_t layer);

/// Whether the text is one expression over full names rather than a list of names.
[[nodiscard]] bool is_expression(const std::string& target_modules);

/// The modules of the whole model that get an adapter. @throws Error(kConfig) for an expression that is none.
/// @param saved what it names gets none
[[nodiscard]] std::vector<LinearModule> adapted_modules(const ModelShape& shape, const std::string& target_modules,
                                                        const ModulesToSave& saved = {});

}  // namespace lathe
