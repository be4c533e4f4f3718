#pragma once
// One setting's value: from JSON with its type and range checked, and back to JSON.
#include <optional>
#include <string>

#include "base/json.h"
#include "config/fields.h"

namespace lathe {

struct ValueProblem {
  std::string what;  ///< "expected a number, found the text \"1e-4\""
  std::string hint;
};

/// Puts value into args. Nothing is coerced, except that a whole number may stand for a fraction.
/// @returns what is wrong with the value; args are then as they were.
[[nodiscard]] std::optional<ValueProblem> set_value(TrainingArguments& args, const Field& field, const Json& value);

[[nodiscard]] Json get_value(const TrainingArguments& args, const Field& field);

/// "a number", "true or false", …: what a value of this setting looks like.
[[nodiscard]] std::string expected_type(const Field& field);
/// "0 … 1", "from 1", ""; and "a | b" for choices.
[[nodiscard]] std::string allowed_range(const Field& field);

/// Comma text → its parts without blanks round them; empty parts are left out.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);

}  // namespace lathe
