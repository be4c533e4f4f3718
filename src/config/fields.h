#pragma once
// The one table of settings (docs/config.md is printed from it). JSON files, key=value words, --help, nearest-name
// hints and training_args.json all walk it; nothing else knows the name of a key.
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/training_arguments.h"

namespace lathe {

template <typename T>
using Member = T TrainingArguments::*;

using FieldMember = std::variant<Member<bool>, Member<std::optional<bool>>, Member<int64_t>, Member<uint64_t>,
                                 Member<std::optional<uint64_t>>, Member<double>, Member<std::string>,
                                 Member<std::optional<std::string>>, Member<std::vector<std::string>>>;

/// How a value is written in JSON where its C++ type alone does not say.
enum class FieldForm {
  kPlain,
  kPaths,         ///< comma text or list of texts
  kModules,       ///< comma text, regular expression, "all-linear", list, null
  kReports,       ///< text, list, null
  kObject,        ///< an object, kept as its text
  kFlagOrPath,    ///< true, false, null or a path; true is kept as "true"
  kPathOrObject,  ///< a path, or an object kept as its text
  kDuration,      ///< "hh:mm:ss"
};

/// Updates in all and between two events.
inline constexpr double kMostSteps = 1099511627776;  // 2^40

struct Field {
  Field(const char* field_name, FieldMember field_member, const char* field_doc)
      : name(field_name), member(field_member), doc(field_doc) {}

  const char* name;
  FieldMember member;
  const char* doc;
  std::vector<const char*> aliases;  ///< other spellings of the same thing
  std::vector<const char*> choices;  ///< of a text; empty: any
  /// What to do about a value that other tools have and choices lack; nullptr: no such value.
  const char* (*advice)(std::string_view value) = nullptr;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;
  bool count_or_share = false;       ///< below 1 a share, from 1 on a whole number
  std::optional<double> null_value;  ///< what null stands for; none: null is refused
  FieldForm form = FieldForm::kPlain;
  const char* unused_when = nullptr;  ///< words for: has no effect when …
  bool (*unused)(const TrainingArguments&) = nullptr;

  Field& also(std::initializer_list<const char*> names) { return aliases = names, *this; }
  Field& one_of(std::vector<const char*> values) { return choices = std::move(values), *this; }
  Field& elsewhere(const char* (*words)(std::string_view)) { return advice = words, *this; }
  Field& at_least(double value) { return low = value, *this; }
  Field& above(double value) { return low = value, low_open = true, *this; }
  Field& at_most(double value) { return high = value, *this; }
  Field& below(double value) { return high = value, high_open = true, *this; }
  Field& steps_or_share() { return count_or_share = true, low = 0, high = kMostSteps, *this; }
  Field& null_is(double value) { return null_value = value, *this; }
  Field& written_as(FieldForm value) { return form = value, *this; }
  Field& idle(const char* words, bool (*test)(const TrainingArguments&)) {
    return unused_when = words, unused = test, *this;
  }
};

struct FieldGroup {
  const char* title;
  std::vector<Field> fields;
};

/// All settings, in the order of docs/config.md.
[[nodiscard]] const std::vector<FieldGroup>& field_groups();

/// The field with this name or alias; null: none.
[[nodiscard]] const Field* find_field(std::string_view name);

/// Calls visit(field, member) for every setting, with member a reference to the value inside args.
template <typename Args, typename Visitor>
void visit_fields(Args& args, Visitor&& visit) {
  for (const FieldGroup& group : field_groups()) {
    for (const Field& field : group.fields) {
      std::visit([&](auto member) { visit(field, args.*member); }, field.member);
    }
  }
}

}  // namespace lathe
