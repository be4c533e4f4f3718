// The table as text for people: --help and docs/config.md.
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "config/config_file.h"
#include "config/field_value.h"
#include "config/foreign_keys.h"

namespace lathe {
namespace {

std::string default_text(const Field& field) {
  return dump_json(get_value(TrainingArguments{}, field));
}

std::string also_text(const Field& field) {
  std::vector<std::string> names(field.aliases.begin(), field.aliases.end());
  if (std::string_view(field.name) == "use_qlora" || std::string_view(field.name) == "quantization_bit") {
    names = {"load_in_4bit", "load_in_8bit"};
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// A bar inside a table's cell would end it.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
  return escaped;
}

std::string meaning(const Field& field) {
  std::string text = field.doc;
  const std::string range = allowed_range(field);
  if (!range.empty()) text += fmt::format(" ({})", range);
  if (const std::string also = also_text(field); !also.empty()) text += fmt::format("; also spelled {}", also);
  if (field.unused_when != nullptr) text += fmt::format("; no effect when {}", field.unused_when);
  return text;
}

}  // namespace

std::string config_help() {
  std::string text = "Keys of the configuration (key: default, meaning). docs/config.md has them all in a table.\n";
  for (const FieldGroup& group : field_groups()) {
    text += fmt::format("\n{}\n", group.title);
    for (const Field& field : group.fields) {
      text += fmt::format("  {}: {}\n      {}\n", field.name, default_text(field), meaning(field));
    }
  }
  return text;
}

std::string config_reference_markdown() {
  std::string text =
      "# Settings\n\n"
      "This page is printed from the table of settings by `lathe validate --reference`; do not edit it.\n\n"
      "A configuration is one flat JSON object; `key=value` words on the command line override it. Keys that start "
      "with `_` are\n"
      "comments. An unknown key, a value of another type and two spellings of one setting with different values are "
      "errors.\n"
      "Nothing is coerced: a number in quotes is text.\n";
  auto out = std::back_inserter(text);
  for (const FieldGroup& group : field_groups()) {
    fmt::format_to(out, "\n## {}\n\n| key | type | default | meaning |\n|---|---|---|---|\n", group.title);
    for (const Field& field : group.fields) {
      fmt::format_to(out, "| `{}` | {} | `{}` | {} |\n", field.name, expected_type(field), default_text(field),
                     cell(meaning(field)));
    }
  }
  text +=
      "\n## Keys of other tools that have no meaning here\n\n"
      "Accepted with the values named, which change nothing (the run says so); refused with any other.\n\n"
      "| key | accepted | why |\n|---|---|---|\n";
  for (const ForeignKey& key : foreign_keys()) {
    const std::string accepted =
        std::string_view(key.harmless) == "*" ? "any value" : fmt::format("`{}`", key.harmless);
    fmt::format_to(out, "| `{}` | {} | {} |\n", key.name, cell(accepted), cell(key.advice));
  }
  return text;
}

}  // namespace lathe
