#pragma once
// Where the time before the first step goes: what a slow start is looked for in.
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "train/clock.h"

namespace lathe {

class StartParts {
 public:
  /// Ends the part that began where the one before it ended; the first one began where the program could first look at
  /// the clock.
  void end(const char* name) {
    const double now = now_s();
    parts_.emplace_back(name, now - last_s_);
    last_s_ = now;
  }

  /// {"settings": 0.01, "rows": 0.3, …}, seconds, in the order in which they passed.
  [[nodiscard]] Json json() const;

  /// "settings 0.01 s, rows 0.30 s".
  [[nodiscard]] std::string text() const;

 private:
  double last_s_ = kProcessStart_s;
  std::vector<std::pair<std::string, double>> parts_;
};

}  // namespace lathe
