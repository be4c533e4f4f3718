#include "config/settings_reader.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/foreign_keys.h"
#include "config/spelling.h"

namespace lathe {
namespace {

/// One source's settings by the table's name: two spellings of one thing must agree within it.
class SourceReader {
 public:
  explicit SourceReader(Settings& settings) : settings_(settings), number_(next_number(settings)) {}

  void add(const RawSetting& raw) {
    if (raw.key.starts_with("_")) return;
    if (raw.key == "load_in_4bit" || raw.key == "load_in_8bit") return add_quantised(raw);
    if (const Field* field = find_field(raw.key)) return add_field(*field, raw);
    if (const ForeignKey* key = find_foreign_key(raw.key)) return add_foreign(*key, raw);
    settings_.problems.emplace_back(ErrorKind::kConfig, fmt::format("'{}' is not a known key", raw.key), raw.where,
                                    fmt::format("did you mean '{}'?", nearest_key(raw.key)));
  }

  /// After the last key: only then it is known which bits a load_in_4bit or load_in_8bit that is false speaks of.
  void finish() {
    for (const auto& [key, raw] : switched_off_) switch_off(raw);
  }

 private:
  struct Taken {
    std::string spelled;
    Json value;
  };

  static int next_number(const Settings& settings) {
    int last = 0;
    for (const auto& [name, given] : settings.given) last = std::max(last, given.source);
    return last + 1;
  }

  void problem(const RawSetting& raw, std::string what, std::string hint) {
    settings_.problems.emplace_back(ErrorKind::kConfig, std::move(what), raw.where, std::move(hint));
  }

  void add_quantised(const RawSetting& raw) {
    if (!raw.value.is_boolean()) {
      return problem(raw, fmt::format("expected true or false, found {}", dump_json(raw.value)), "");
    }
    switched_off_.erase(raw.key);
    if (!raw.value.get<bool>()) {
      switched_off_.emplace(raw.key, raw);
      return;
    }
    RawSetting part = raw;
    add_field(*find_field("use_qlora"), part);
    part.value = bits_of(raw.key);
    add_field(*find_field("quantization_bit"), part);
  }

  static int bits_of(const std::string& key) { return key == "load_in_4bit" ? 4 : 8; }

  void switch_off(const RawSetting& raw) {
    TrainingArguments& args = settings_.args;
    if (!args.use_qlora || args.quantization_bit != bits_of(raw.key)) return;
    const Given& asked = settings_.given["use_qlora"];
    if (asked.source == number_ && asked.spelled != raw.key) {
      return problem(raw,
                     fmt::format("'{}' and '{}' are two spellings of one setting with different values, true and false",
                                 asked.spelled, raw.key),
                     "keep one of them");
    }
    args.use_qlora = false;
    settings_.given["use_qlora"] = Given{raw.key, raw.where, number_};
    // QLoRA without its few bits is LoRA, not training of every weight, unless that is asked for beside it.
    if (settings_.given["use_lora"].source == number_) return;
    args.use_lora = true;
    settings_.given["use_lora"] = Given{raw.key, raw.where, number_};
  }

  void add_field(const Field& field, const RawSetting& raw) {
    if (raw.value.is_null() && raw.key != field.name) return;  // configuration dumps hold unused spellings as null
    TrainingArguments probe;
    auto wrong = set_value(probe, field, raw.value);
    Json value = raw.value;
    if (wrong && raw.word && !raw.value.is_string()) {
      value = *raw.word;  // output_dir=2024.10: a word that happens to be JSON
      if (!set_value(probe, field, value)) wrong.reset();
    }
    if (wrong) return problem(raw, wrong->what, wrong->hint);
    const auto [taken, first] = taken_.try_emplace(field.name, Taken{raw.key, get_value(probe, field)});
    const Json known = get_value(probe, field);
    if (!first && taken->second.value != known && taken->second.spelled != raw.key) {
      return problem(raw,
                     fmt::format("'{}' and '{}' are two spellings of one setting with different values, {} and {}",
                                 taken->second.spelled, raw.key, dump_json(taken->second.value), dump_json(known)),
                     fmt::format("keep '{}' alone", field.name));
    }
    taken->second.value = known;
    (void)set_value(settings_.args, field, value);
    settings_.given[field.name] = Given{raw.key, raw.where, number_};
  }

  void add_foreign(const ForeignKey& key, const RawSetting& raw) {
    const std::string text = dump_json(raw.value);
    if (is_harmless(key, text)) {
      const bool always = std::string_view(key.harmless) == "*";
      settings_.without_effect.push_back(always ? fmt::format("{} ({})", key.name, key.advice) : std::string(key.name));
      return;
    }
    problem(raw, fmt::format("'{}' is not supported with the value {}", key.name, text), key.advice);
  }

  Settings& settings_;
  int number_;
  std::map<std::string, Taken> taken_;
  std::map<std::string, RawSetting> switched_off_;  ///< load_in_4bit and load_in_8bit that are false
};

std::string pointer_token(std::string key) {
  std::string token;
  for (const char c : key) token += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return token;
}

}  // namespace

Where Settings::where(const std::string& name) const {
  const auto found = given.find(name);
  return found == given.end() ? Where{.file = {}, .line = 0, .key = name} : found->second.where;
}

void Settings::refuse(const std::string& name, std::string what, std::string hint) {
  problems.emplace_back(ErrorKind::kConfig, std::move(what), where(name), std::move(hint));
}

void apply_source(Settings& settings, const std::vector<RawSetting>& source) {
  SourceReader reader(settings);
  for (const RawSetting& raw : source) reader.add(raw);
  reader.finish();
}

std::vector<RawSetting> read_config_source(const std::string& path) {
  JsonPositions positions;
  const Json json = read_json_file(path, &positions);
  if (!json.is_object()) {
    throw Error(ErrorKind::kConfig, "a configuration is one JSON object of keys and values",
                {.file = path, .line = 1, .key = {}});
  }
  std::vector<RawSetting> source;
  for (const auto& [key, value] : json.items()) {
    const auto position = positions.find("/" + pointer_token(key));
    const int64_t line = position == positions.end() ? 0 : position->second.line;
    source.push_back({key, value, {.file = path, .line = line, .key = key}, {}});
  }
  return source;
}

std::vector<RawSetting> read_override_source(const std::vector<std::string>& words) {
  std::vector<RawSetting> source;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorKind::kConfig, fmt::format("\"{}\" is no key=value", word), {},
                  "write for example max_steps=20");
    }
    const std::string key = word.substr(0, equals), text = word.substr(equals + 1);
    Json value = Json::parse(text, nullptr, false);
    if (value.is_discarded()) value = text;
    source.push_back({key, std::move(value), {.file = {}, .line = 0, .key = key}, text});
  }
  return source;
}

}  // namespace lathe
