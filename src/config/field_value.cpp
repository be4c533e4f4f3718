#include "config/field_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

namespace lathe {
namespace {

using Problem = std::optional<ValueProblem>;

std::string found(const Json& value) {
  std::string text = dump_json(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  if (value.is_string()) return "the text " + text;
  if (value.is_array()) return "the list " + text;
  if (value.is_object()) return "the object " + text;
  return text;
}

bool reads_as_number(const std::string& text) {
  static const std::regex number(R"(\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*)");
  return std::regex_match(text, number);
}

ValueProblem wrong_type(const Field& field, const Json& value) {
  ValueProblem problem{fmt::format("expected {}, found {}", expected_type(field), found(value)), ""};
  if (!value.is_string()) return problem;
  const std::string& text = value.get_ref<const std::string&>();
  const bool is_flag = text == "true" || text == "false" || text == "True" || text == "False";
  if (reads_as_number(text)) problem.hint = fmt::format("write {} without quotes", text);
  if (is_flag)
    problem.hint = text[0] == 't' || text[0] == 'T' ? "write true without quotes" : "write false without quotes";
  if (text == "None") problem.hint = "write null without quotes";
  return problem;
}

Problem check_range(const Field& field, double value) {
  const bool low = field.low_open ? value <= field.low : value < field.low;
  const bool high = field.high_open ? value >= field.high : value > field.high;
  if (low || high || !std::isfinite(value)) {
    return ValueProblem{fmt::format("{} is out of range", value), "allowed: " + allowed_range(field)};
  }
  if (field.count_or_share && value > 1 && value != std::floor(value)) {
    return ValueProblem{fmt::format("{} is neither a whole number nor a share below 1", value),
                        "allowed: " + allowed_range(field)};
  }
  return {};
}

Problem check_choice(const Field& field, const std::string& value) {
  if (field.choices.empty()) return {};
  const auto same = [&](const char* choice) { return value == choice; };
  if (std::any_of(field.choices.begin(), field.choices.end(), same)) return {};
  if (const char* advice = field.advice == nullptr ? nullptr : field.advice(value)) {
    return ValueProblem{fmt::format("\"{}\" is not part of this version", value), advice};
  }
  return ValueProblem{fmt::format("\"{}\" is not supported", value), "allowed: " + allowed_range(field)};
}

Problem read(const Field& field, const Json& value, bool& out) {
  if (value.is_null() && field.null_value) return out = *field.null_value != 0, Problem{};
  if (!value.is_boolean()) return wrong_type(field, value);
  out = value.get<bool>();
  return {};
}

Problem read(const Field& field, const Json& value, std::optional<bool>& out) {
  if (value.is_null()) return out.reset(), Problem{};
  if (!value.is_boolean()) return wrong_type(field, value);
  out = value.get<bool>();
  return {};
}

Problem read(const Field& field, const Json& value, int64_t& out) {
  if (value.is_null() && field.null_value) return out = static_cast<int64_t>(*field.null_value), Problem{};
  if (!value.is_number_integer()) return wrong_type(field, value);
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{1} << 53U) {
    return ValueProblem{dump_json(value) + " is out of range", "allowed: " + allowed_range(field)};
  }
  const auto number = value.get<int64_t>();
  if (Problem problem = check_range(field, static_cast<double>(number))) return problem;
  out = number;
  return {};
}

Problem read(const Field& field, const Json& value, uint64_t& out) {
  if (!value.is_number_integer()) return wrong_type(field, value);
  if (!value.is_number_unsigned()) return ValueProblem{dump_json(value) + " is out of range", "allowed: from 0"};
  if (Problem problem = check_range(field, static_cast<double>(value.get<uint64_t>()))) return problem;
  out = value.get<uint64_t>();
  return {};
}

Problem read(const Field& field, const Json& value, std::optional<uint64_t>& out) {
  if (value.is_null()) return out.reset(), Problem{};
  uint64_t number = 0;
  if (Problem problem = read(field, value, number)) return problem;
  out = number;
  return {};
}

Problem read(const Field& field, const Json& value, double& out) {
  if (value.is_null() && field.null_value) return out = *field.null_value, Problem{};
  if (!value.is_number()) return wrong_type(field, value);
  const auto number = value.get<double>();
  if (Problem problem = check_range(field, number)) return problem;
  out = number;
  return {};
}

/// lr_scheduler_kwargs and the like: an object, its text, or null.
Problem read_object(const Field& field, const Json& value, std::string& out) {
  if (value.is_null()) return out = "{}", Problem{};
  if (value.is_object()) return out = dump_json(value), Problem{};
  if (!value.is_string()) return wrong_type(field, value);
  const Json inner = Json::parse(value.get<std::string>(), nullptr, false);
  if (!inner.is_object()) return wrong_type(field, value);
  out = dump_json(inner);
  return {};
}

Problem read(const Field& field, const Json& value, std::string& out) {
  if (field.form == FieldForm::kObject) return read_object(field, value, out);
  if (value.is_null() && field.null_value) {
    const TrainingArguments defaults;
    return out = defaults.*std::get<Member<std::string>>(field.member), Problem{};
  }
  if (!value.is_string()) return wrong_type(field, value);
  const auto text = value.get<std::string>();
  if (Problem problem = check_choice(field, text)) return problem;
  out = text;
  return {};
}

/// Names without blanks, joined by commas; "all" and null are "all-linear".
Problem read_modules(const Field& field, const Json& value, std::optional<std::string>& out) {
  std::string joined;
  if (value.is_null()) {
    joined = "all-linear";
  } else if (value.is_string()) {
    joined = value.get<std::string>();
    const bool expression = joined.find_first_of("\\^$*+?()[]{}|") != std::string::npos;
    if (!expression) joined = fmt::format("{}", fmt::join(split_list(joined), ","));
  } else if (value.is_array()) {
    for (const Json& item : value) {
      if (!item.is_string()) return wrong_type(field, value);
      const auto name = item.get<std::string>();
      if (name.find_first_of("\\^$*+?()[]{}|, ") != std::string::npos) {
        return ValueProblem{fmt::format("\"{}\" in the list is no module name", name),
                            "give names alone in a list, or one regular expression as text"};
      }
      joined += (joined.empty() ? "" : ",") + name;
    }
  } else {
    return wrong_type(field, value);
  }
  if (joined.empty()) return ValueProblem{"names no module", "give names such as \"q_proj,v_proj\", or \"all-linear\""};
  out = joined == "all" ? "all-linear" : joined;
  return {};
}

Problem read_duration(const Json& value, std::optional<std::string>& out) {
  static const std::regex form(R"(\d{1,4}:[0-5]\d:[0-5]\d)");
  const auto text = value.get<std::string>();
  if (!std::regex_match(text, form))
    return ValueProblem{fmt::format("\"{}\" is no duration", text), "write it as \"hh:mm:ss\""};
  out = text;
  return {};
}

Problem read(const Field& field, const Json& value, std::optional<std::string>& out) {
  if (field.form == FieldForm::kModules) return read_modules(field, value, out);
  if (value.is_null()) return out.reset(), Problem{};
  if (field.form == FieldForm::kFlagOrPath && value.is_boolean()) {
    if (value.get<bool>()) return out = "true", Problem{};
    return out.reset(), Problem{};
  }
  if (field.form == FieldForm::kPathOrObject && value.is_object()) return out = dump_json(value), Problem{};
  if (!value.is_string()) return wrong_type(field, value);
  if (field.form == FieldForm::kDuration) return read_duration(value, out);
  const auto text = value.get<std::string>();
  if (text.empty()) return out.reset(), Problem{};
  out = text;
  return check_choice(field, text);
}

/// Services that transformers reports to and that are not spoken to from here.
bool is_foreign_service(const std::string& name) {
  static const std::vector<std::string> names = {"azure_ml", "clearml", "codecarbon", "comet_ml", "dagshub", "dvclive",
                                                 "flyte",    "mlflow",  "neptune",    "swanlab",  "trackio", "wandb"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

Problem check_reports(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name == "tensorboard") continue;
    if (is_foreign_service(name)) {
      return ValueProblem{fmt::format("reporting to {} is not supported", name),
                          "use \"tensorboard\" (its files can be uploaded afterwards) or \"none\"; trainer_log.jsonl "
                          "is always written"};
    }
    return ValueProblem{fmt::format("\"{}\" is not supported", name), "allowed: tensorboard | none"};
  }
  return {};
}

Problem read(const Field& field, const Json& value, std::vector<std::string>& out) {
  std::vector<std::string> parts;
  if (value.is_string()) {
    parts = split_list(value.get<std::string>());
  } else if (value.is_array()) {
    for (const Json& item : value) {
      if (!item.is_string()) return wrong_type(field, value);
      parts.push_back(item.get<std::string>());
    }
  } else if (!value.is_null()) {
    return wrong_type(field, value);
  }
  if (field.form == FieldForm::kReports) {
    if (value.is_null() || parts == std::vector<std::string>{"all"}) parts = {"tensorboard"};
    if (parts == std::vector<std::string>{"none"}) parts.clear();
    if (Problem problem = check_reports(parts)) return problem;
  }
  out = std::move(parts);
  return {};
}

template <typename Value>
Json to_json(const Field& field, const std::optional<Value>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<Value, std::string>) {
    if (field.form == FieldForm::kFlagOrPath && *value == "true") return true;
  }
  return *value;
}

template <typename Value>
Json to_json(const Field& field, const Value& value) {
  if constexpr (std::is_same_v<Value, std::string>) {
    if (field.form == FieldForm::kObject) return Json::parse(value);
  }
  return value;
}

}  // namespace

std::optional<ValueProblem> set_value(TrainingArguments& args, const Field& field, const Json& value) {
  return std::visit([&](auto member) { return read(field, value, args.*member); }, field.member);
}

Json get_value(const TrainingArguments& args, const Field& field) {
  return std::visit([&](auto member) { return to_json(field, args.*member); }, field.member);
}

std::string expected_type(const Field& field) {
  switch (field.form) {
    case FieldForm::kPaths:
    case FieldForm::kReports:
      return "text or a list of texts";
    case FieldForm::kModules:
      return "text, a list of texts or null";
    case FieldForm::kObject:
      return "an object";
    case FieldForm::kFlagOrPath:
      return "true, false, null or a path";
    case FieldForm::kPathOrObject:
      return "a path, an object or null";
    case FieldForm::kDuration:
      return "text \"hh:mm:ss\"";
    case FieldForm::kPlain:
      break;
  }
  struct Namer {
    std::string operator()(Member<bool>) const { return "true or false"; }
    std::string operator()(Member<std::optional<bool>>) const { return "true, false or null"; }
    std::string operator()(Member<int64_t>) const { return "a whole number"; }
    std::string operator()(Member<uint64_t>) const { return "a whole number"; }
    std::string operator()(Member<std::optional<uint64_t>>) const { return "a whole number or null"; }
    std::string operator()(Member<double>) const { return "a number"; }
    std::string operator()(Member<std::string>) const { return "text"; }
    std::string operator()(Member<std::optional<std::string>>) const { return "text or null"; }
    std::string operator()(Member<std::vector<std::string>>) const { return "text or a list of texts"; }
  };
  return std::visit(Namer{}, field.member);
}

std::string allowed_range(const Field& field) {
  if (!field.choices.empty()) return fmt::format("{}", fmt::join(field.choices, " | "));
  if (field.count_or_share) return fmt::format("0, a share below 1, or a whole number to {}", field.high);
  const bool low = std::isfinite(field.low), high = std::isfinite(field.high);
  std::string text;
  if (low) text = fmt::format("{} {}", field.low_open ? "above" : "from", field.low);
  if (high) text += fmt::format("{}{} {}", low ? " " : "", field.high_open ? "to below" : "to", field.high);
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t first = part.find_first_not_of(" \t\n\r");
    if (first == std::string_view::npos) continue;
    parts.emplace_back(part.substr(first, part.find_last_not_of(" \t\n\r") - first + 1));
  }
  return parts;
}

}  // namespace lathe
