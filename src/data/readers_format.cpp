#include "data/readers_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "data/unicode.h"

namespace lathe {
namespace {

[[noreturn]] void bad_field(const Where& where, std::string key, std::string what, std::string hint = {}) {
  throw Error(ErrorKind::kData, std::move(what), {where.file, where.line, std::move(key)}, std::move(hint));
}

std::string string_field(const Json& object, const std::string& key, const Where& where, const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end()) bad_field(where, path, fmt::format("field '{}' is missing", path));
  if (!found->is_string()) bad_field(where, path, fmt::format("must be a string, not {}", found->type_name()));
  return found->get<std::string>();
}

std::string string_field(const Json& object, const std::string& key, const Where& where) {
  return string_field(object, key, where, key);
}

/// As Python's str.strip() would leave nothing of it.
bool is_blank(std::string_view text) {
  const uint8_t* properties = unicode::property_table();
  for (size_t i = 0; i < text.size();) {
    const unicode::CodePoint point = unicode::decode(text.data() + i);
    const bool separator = point.value >= 0x1C && point.value <= 0x1F;
    if (!separator && (properties[point.value] & unicode::kSpace) == 0) return false;
    i += point.size;
  }
  return true;
}

bool is_absent(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() || ((found->is_array() || found->is_object()) && found->empty());
}

void refuse_tools(const Json& object, const Where& where, const std::string& path) {
  for (const char* key : {"tools", "tool_calls", "functions", "function_call"}) {
    if (is_absent(object, key)) continue;
    bad_field(where, path + key, "rows with tools cannot be trained on", "take these rows out");
  }
}

std::string role_of(const std::string& name, const Where& where, const std::string& path) {
  if (name == "user" || name == "human") return "user";
  if (name == "assistant" || name == "gpt") return "assistant";
  if (name == "system") return "system";
  const bool tool = name.find("tool") != name.npos || name.find("function") != name.npos || name == "observation";
  if (tool)
    bad_field(where, path, fmt::format("turns of tools ('{}') cannot be trained on", name), "take these rows out");
  bad_field(where, path, fmt::format("'{}' is not a known role", name), "known: system, user (human), assistant (gpt)");
}

struct TurnKeys {
  const char *list, *role, *content;
};

void count_unread(const Json& object, std::initializer_list<std::string_view> read, const std::string& path,
                  KeyCounts& unread) {
  for (const auto& item : object.items()) {
    if (std::find(read.begin(), read.end(), item.key()) == read.end()) ++unread[path + item.key()];
  }
}

std::vector<Message> turns(const Json& object, const TurnKeys& keys, const Where& where, KeyCounts& unread) {
  const Json& list = object.at(keys.list);
  if (!list.is_array()) bad_field(where, keys.list, fmt::format("must be a list of turns, not {}", list.type_name()));
  if (list.empty()) bad_field(where, keys.list, "the list of turns is empty");
  refuse_tools(object, where, "");
  std::vector<Message> messages;
  for (const Json& turn : list) {
    const std::string path = fmt::format("{}[{}].", keys.list, messages.size());
    if (!turn.is_object()) {
      bad_field(where, path.substr(0, path.size() - 1),
                fmt::format("a turn must be an object, not {}", turn.type_name()));
    }
    refuse_tools(turn, where, path);
    std::string role = role_of(string_field(turn, keys.role, where, path + keys.role), where, path + keys.role);
    messages.push_back({std::move(role), string_field(turn, keys.content, where, path + keys.content)});
    count_unread(turn, {keys.role, keys.content}, fmt::format("{}[].", keys.list), unread);
  }
  if (messages.back().role != "assistant") {
    bad_field(where, keys.list,
              fmt::format("the last turn is the {}'s: there is no answer to train on", messages.back().role),
              "end with an assistant turn");
  }
  count_unread(object, {keys.list, "tools", "functions"}, "", unread);
  return messages;
}

Row conversation(std::vector<Message> messages) {
  Row row;
  row.messages = std::move(messages);
  return row;
}

Row question_and_answer(const Json& json, const char* question, const char* answer, const Where& where,
                        KeyCounts& unread) {
  count_unread(json, {question, answer}, "", unread);
  return conversation(
      {{"user", string_field(json, question, where)}, {"assistant", string_field(json, answer, where)}});
}

Row instruction(const Json& json, const Where& where, KeyCounts& unread) {
  std::string prompt = string_field(json, "instruction", where);
  const auto input = json.find("input");
  if (input != json.end() && !input->is_null()) {
    const std::string text = string_field(json, "input", where);
    if (!is_blank(text)) prompt += "\n\n" + text;
  }
  Row row = conversation({{"user", std::move(prompt)}, {"assistant", string_field(json, "output", where)}});
  row.instruction_format = true;
  count_unread(json, {"instruction", "input", "output"}, "", unread);
  return row;
}

Row plain_text(const Json& json, const Where& where, KeyCounts& unread) {
  Row row;
  row.text = string_field(json, "text", where);
  if (row.text.empty()) bad_field(where, "text", "is empty: there is nothing to train on");
  count_unread(json, {"text"}, "", unread);
  return row;
}

/// A format is taken when both of its keys are there; failing that, the first whose leading key is there says what it
/// lacks.
struct Format {
  const char *leading, *other;
  Row (*read)(const Json&, const Where&, KeyCounts&);
};

const std::array<Format, 7> kFormats = {{
    {"instruction", "output", instruction},
    {"messages", "messages",
     [](const Json& json, const Where& where, KeyCounts& unread) {
       return conversation(turns(json, {"messages", "role", "content"}, where, unread));
     }},
    {"conversations", "conversations",
     [](const Json& json, const Where& where, KeyCounts& unread) {
       return conversation(turns(json, {"conversations", "from", "value"}, where, unread));
     }},
    {"prompt", "response",
     [](const Json& json, const Where& where, KeyCounts& unread) {
       return question_and_answer(json, "prompt", "response", where, unread);
     }},
    {"prompt", "completion",
     [](const Json& json, const Where& where, KeyCounts& unread) {
       return question_and_answer(json, "prompt", "completion", where, unread);
     }},
    {"question", "answer",
     [](const Json& json, const Where& where, KeyCounts& unread) {
       return question_and_answer(json, "question", "answer", where, unread);
     }},
    {"text", "text", plain_text},
}};

constexpr const char* kAcceptedFormats =
    R"(accepted: {"instruction","input","output"}, {"messages":[{"role","content"}]}, )"
    R"({"conversations":[{"from","value"}]}, {"prompt","response" or "completion"}, {"question","answer"}, {"text"})";

}  // namespace

Row row_from_json(const Json& json, const Where& where, KeyCounts& unread) {
  if (!json.is_object()) {
    bad_field(where, {}, fmt::format("a row must be an object, not {}", json.type_name()), kAcceptedFormats);
  }
  for (const Format& format : kFormats) {
    if (json.contains(format.leading) && json.contains(format.other)) return format.read(json, where, unread);
  }
  for (const Format& format : kFormats) {
    if (json.contains(format.leading)) {
      bad_field(where, format.other, fmt::format("field '{}' is missing", format.other), kAcceptedFormats);
    }
  }
  if (json.contains("output")) bad_field(where, "instruction", "field 'instruction' is missing", kAcceptedFormats);
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back("'" + item.key() + "'");
  bad_field(where, {}, fmt::format("the row is of no known format (its keys: {})", fmt::join(keys, ", ")),
            kAcceptedFormats);
}

}  // namespace lathe
