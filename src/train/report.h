#pragma once
// report.html (self-contained: curves, memory, speed, settings) and training_loss.svg.
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lathe {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< step, value; what is not finite is left out
};

/// A line chart as an SVG element with axes and a legend; no scripts, no fonts of its own.
[[nodiscard]] std::string line_chart(const std::string& title, const std::vector<Curve>& curves);

/// Points of one key of log_history.
[[nodiscard]] Curve curve_of(const Json& log_history, const std::string& key, std::string name);

/// Text with the characters that HTML gives a meaning replaced.
[[nodiscard]] std::string escape_html(const std::string& text);

struct ReportParts {
  std::string title;
  const Json& log_history;
  const Json& results;        ///< train_results.json
  std::string data_report;    ///< lines
  std::string training_args;  ///< JSON text
};
[[nodiscard]] std::string report_html(const ReportParts& parts);

}  // namespace lathe
