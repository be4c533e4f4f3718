#pragma once
// From the user's JSON and key=value words to TrainingArguments.
#include <string>
#include <vector>

#include "config/training_arguments.h"

namespace lathe {

struct LoadedConfig {
  TrainingArguments args;
  std::vector<std::string> notes;  ///< repairs and keys without effect, one sentence each, for the console
};

/// @param path "" : defaults alone.  @param overrides "key=value" words; values are JSON, or plain text where that
/// fails.
/// @throws Error(kConfig) naming file:line and key: unknown key (nearest one offered), wrong type, out of range, two
/// spellings with different values, a key or value that is refused by name (with what to do).
[[nodiscard]] LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides);

/// Every problem in a file rather than the first (lathe validate).
[[nodiscard]] std::vector<std::string> validate_config(const std::string& path);

/// All settings as JSON, for training_args.json.
[[nodiscard]] std::string to_json_text(const TrainingArguments& args);

/// docs/config.md, generated from the table.
[[nodiscard]] std::string config_reference_markdown();

/// The text of `lathe train --help` for keys.
[[nodiscard]] std::string config_help();

}  // namespace lathe
