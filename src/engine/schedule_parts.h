#pragma once
// What the schedules of schedule.cpp (transformers') and schedule_deepspeed.cpp are made of.
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace lathe {

/// lr_scheduler_kwargs, each looked up once; what nobody asked for is an error.
class Kwargs {
 public:
  Kwargs(const Json& json, std::string schedule) : json_(json), schedule_(std::move(schedule)) {
    if (!json_.is_null() && !json_.is_object()) fail("has to be an object", "");
  }

  std::optional<double> number(const char* key) {
    known_.emplace_back(key);
    if (!has(key)) return std::nullopt;
    if (!json_[key].is_number()) fail(fmt::format("'{}' has to be a number", key), "");
    return json_[key].get<double>();
  }

  bool flag(const char* key) {
    known_.emplace_back(key);
    if (!has(key)) return false;
    if (!json_[key].is_boolean()) fail(fmt::format("'{}' has to be true or false", key), "");
    return json_[key].get<bool>();
  }

  std::string choice(const char* key, const std::string& fallback, const std::vector<std::string>& choices) {
    known_.emplace_back(key);
    if (!has(key)) return fallback;
    const std::string value = json_[key].is_string() ? json_[key].get<std::string>() : json_[key].dump();
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      fail(fmt::format("'{}' cannot be '{}'", key, value), fmt::format("it is one of {}", fmt::join(choices, ", ")));
    }
    return value;
  }

  /// For who reads them another way.
  const Json& take_all() {
    if (!json_.is_object()) return json_;
    for (const auto& [key, value] : json_.items()) known_.push_back(key);
    return json_;
  }

  void finish() const {
    if (!json_.is_object()) return;
    for (const auto& [key, value] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      fail(fmt::format("'{}' is not a setting of the schedule '{}'", key, schedule_),
           known_.empty() ? "it has none" : fmt::format("it knows {}", fmt::join(known_, ", ")));
    }
  }

  [[noreturn]] static void fail(const std::string& what, const std::string& hint) {
    throw Error(ErrorKind::kConfig, what, {.file = "", .line = 0, .key = "lr_scheduler_kwargs"}, hint);
  }

 private:
  bool has(const char* key) const { return json_.is_object() && json_.contains(key) && !json_[key].is_null(); }
  const Json& json_;
  std::string schedule_;
  std::vector<std::string> known_;
};

/// What every schedule starts from. Steps are kept in double: they are divided everywhere, as Python divides them.
struct Run {
  double learning_rate, warmup, total;
  [[nodiscard]] double warm(double step) const { return step / std::max(1.0, warmup); }
  [[nodiscard]] double progress(double step) const { return (step - warmup) / std::max(1.0, total - warmup); }
};

using Factor = std::function<double(double)>;

/// A schedule by its name. Those of DeepSpeed give rates, the others factors of learning_rate.
struct ScheduleKind {
  const char* name;
  Factor (*make)(Run, Kwargs&);
  bool gives_rates = false;
};

[[nodiscard]] const std::vector<ScheduleKind>& deepspeed_schedules();

}  // namespace lathe
