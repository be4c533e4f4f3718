#pragma once
// The adapter that a run starts from, checked before anything large is read: `lathe train` and `lathe plan` share it.
#include <optional>

#include "config/training_arguments.h"
#include "model/lora.h"

namespace lathe {

struct StartingAdapter {
  LoraConfig config;
  TensorMap weights;  ///< without those copies of modules_to_save that start as the base model has them
};

/// The one in adapter_name_or_path, or one by the settings, without weights as yet; nothing where all weights train.
/// @throws Error(kConfig) for modules that the model has not, and for settings that the given adapter has not;
/// Error(kData), Error(kIo) for a folder that holds no adapter of this model
[[nodiscard]] std::optional<StartingAdapter> starting_adapter(const TrainingArguments& args, const ModelShape& shape);

/// An adapter's own settings count, in the plan too: puts them into args.
void take_settings(TrainingArguments& args, const LoraConfig& config);

}  // namespace lathe
