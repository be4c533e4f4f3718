#pragma once
// DeepSpeed's JSON: the one that use_deepspeed stands for, or the user's own, brought together with the other settings.
#include "base/json.h"
#include "config/settings_reader.h"

namespace lathe {

/// Reads the user's DeepSpeed JSON (or makes one), takes over what it sets, and refuses what it contradicts, naming
/// both keys. Leaves the JSON in settings.args.deepspeed_config, with "auto" left only where the run's length is
/// needed.
void settle_deepspeed(Settings& settings);

/// What use_deepspeed without a JSON of the user's own stands for: the toolkit's file, with cosine (or whichever
/// lr_scheduler_type) left to the trainer, the stage as asked and train_batch_size for one rank.
[[nodiscard]] Json generated_deepspeed_config(const TrainingArguments& args);

/// The JSON with every "auto" filled in, as deepspeed_config.json holds it.
/// @throws Error(kConfig) when its total_num_steps is not the run's.
[[nodiscard]] Json filled_deepspeed_config(const TrainingArguments& args, int64_t total_steps, int64_t warmup_steps,
                                           int64_t hidden_size);

}  // namespace lathe
