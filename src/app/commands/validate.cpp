// lathe validate: what is wrong with configurations, all of it at once.
#include <fmt/format.h>
#include <lathe/error.h>

#include <cstdio>
#include <memory>

#include "app/commands/commands.h"
#include "config/config_file.h"

namespace lathe {
namespace {

struct ValidateWords {
  std::vector<std::string> files;
  bool reference = false;
};

bool report(const std::string& file) {
  const std::vector<std::string> problems = validate_config(file);
  for (const std::string& problem : problems) fmt::print("{}\n", problem);
  if (!problems.empty()) return false;
  fmt::print("{}: valid\n", file);
  for (const std::string& note : load_config(file, {}).notes) fmt::print("{}: note: {}\n", file, note);
  return true;
}

int run_validate(const ValidateWords& words) {
  if (words.reference) {
    fmt::print("{}", config_reference_markdown());
    return 0;
  }
  if (words.files.empty()) {
    throw Error(ErrorKind::kConfig, "there is nothing to validate", {}, "name one or more configurations");
  }
  size_t valid = 0;
  for (const std::string& file : words.files) valid += report(file) ? 1 : 0;
  fmt::print("{} of {} valid\n", valid, words.files.size());
  return valid == words.files.size() ? 0 : exit_code(ErrorKind::kConfig);
}

}  // namespace

Command validate_command() {
  return {"validate", "Check configurations and name everything that is wrong with them", [](CommandOptions& options) {
            auto words = std::make_shared<ValidateWords>();
            options.option("files", words->files, "configurations, for example configs/train_config_lora.json");
            options.flag("--reference", words->reference, "print docs/config.md instead");
            return [words] { return run_validate(*words); };
          }};
}

}  // namespace lathe
