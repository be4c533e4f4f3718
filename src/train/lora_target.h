#pragma once
#include <string>
#include <variant>
#include <vector>

#include "config/training_arguments.h"
#include "model/lora.h"

namespace lathe {

/// The setting lora_target_modules as peft takes it: "all", "all-linear" or null: every linear layer but the head;
/// words between commas: a list of names; anything else: one regular expression over whole module names.
[[nodiscard]] LoraConfig lora_config(const TrainingArguments& args, const std::string& base_model);

}  // namespace lathe
