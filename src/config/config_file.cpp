#include "config/config_file.h"

#include <lathe/error.h>

#include <nlohmann/json.hpp>

#include "config/checks.h"

namespace lathe {
namespace {

Settings read_settings(const std::string& path, const std::vector<std::string>& overrides) {
  Settings settings;
  settings.args.config_file = path;
  if (!path.empty()) apply_source(settings, read_config_source(path));
  apply_source(settings, read_override_source(overrides));
  check_together(settings);
  check_supported(settings);
  note_without_effect(settings);
  return settings;
}

}  // namespace

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides) {
  Settings settings = read_settings(path, overrides);
  if (!settings.problems.empty()) throw settings.problems.front();
  return {std::move(settings.args), std::move(settings.notes)};
}

std::vector<std::string> validate_config(const std::string& path) {
  try {
    std::vector<std::string> sentences;
    for (const Error& problem : read_settings(path, {}).problems) sentences.emplace_back(problem.what());
    return sentences;
  } catch (const Error& error) {
    return {error.what()};
  }
}

std::string to_json_text(const TrainingArguments& args) {
  Json json = Json::object();
  visit_fields(args, [&](const Field& field, const auto&) { json[field.name] = get_value(args, field); });
  json["_config_file"] = args.config_file;
  return dump_json(json, 2) + "\n";
}

}  // namespace lathe
