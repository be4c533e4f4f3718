#pragma once
// Settings on their way from files and words to TrainingArguments, with all that is wrong with them.
#include <lathe/error.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "config/field_value.h"
#include "config/training_arguments.h"

namespace lathe {

/// Where a setting was given: a later source (the command line) wins over an earlier one (the file).
struct Given {
  std::string spelled;  ///< the key as the user wrote it
  Where where;
  int source = 0;
};

/// A key of one source before it is looked up.
struct RawSetting {
  std::string key;
  Json value;
  Where where;
  std::optional<std::string> word;  ///< of the command line, as it was typed; value is its text where it is no JSON
};

/// What the reader has so far. Checks read and repair args, and add to problems and notes.
struct Settings {
  TrainingArguments args;
  std::map<std::string, Given> given;  ///< by the table's own name
  std::vector<Error> problems;         ///< in the order in which they were found
  std::vector<std::string> notes;
  std::vector<std::string> without_effect;  ///< "key (why)"

  [[nodiscard]] bool has(const std::string& name) const { return given.count(name) > 0; }
  [[nodiscard]] Where where(const std::string& name) const;
  /// A problem at the place where name was given (or at the key alone, when it holds its default).
  void refuse(const std::string& name, std::string what, std::string hint = {});
};

/// Reads one source into settings; keys of it override those of earlier sources.
void apply_source(Settings& settings, const std::vector<RawSetting>& source);

/// The keys of a file in its own order. @throws Error(kData) when it is missing or no JSON, Error(kConfig) when no
/// object.
[[nodiscard]] std::vector<RawSetting> read_config_source(const std::string& path);
/// @throws Error(kConfig) for a word without "=".
[[nodiscard]] std::vector<RawSetting> read_override_source(const std::vector<std::string>& words);

}  // namespace lathe
