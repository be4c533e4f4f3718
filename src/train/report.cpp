#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/memory_ledger.h"

namespace lathe {
namespace {

constexpr double kWidth = 640, kHeight = 300, kLeft = 70, kRight = 20, kTop = 36, kBottom = 40;
constexpr std::array<const char*, 4> kColours = {"#1f6feb", "#d1242f", "#1a7f37", "#9a6700"};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  void widen() {
    if (!(low <= high)) low = 0, high = 1;
    if (low == high) {
      const double margin = low == 0 ? 1 : std::abs(low) * 0.1;
      low -= margin;
      high += margin;
    }
  }
  [[nodiscard]] double share(double value) const { return (value - low) / (high - low); }
};

struct Axes {
  Range x, y;
  [[nodiscard]] double place_x(double value) const { return kLeft + x.share(value) * (kWidth - kLeft - kRight); }
  [[nodiscard]] double place_y(double value) const {
    return kHeight - kBottom - y.share(value) * (kHeight - kTop - kBottom);
  }
};

Axes axes_of(const std::vector<Curve>& curves) {
  Axes axes;
  for (const Curve& curve : curves) {
    for (const auto& [step, value] : curve.points) {
      axes.x.include(step);
      axes.y.include(value);
    }
  }
  axes.x.widen();
  axes.y.widen();
  return axes;
}

std::string grid(const Axes& axes) {
  std::string out;
  for (int i = 0; i <= 4; ++i) {
    const double y = axes.y.low + (axes.y.high - axes.y.low) * i / 4,
                 x = axes.x.low + (axes.x.high - axes.x.low) * i / 4;
    out += fmt::format(R"(<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}" stroke="#d0d7de"/>)", kLeft,
                       kWidth - kRight, axes.place_y(y));
    out += fmt::format(R"(<text x="{}" y="{:.1f}" text-anchor="end">{:.4g}</text>)", kLeft - 6, axes.place_y(y) + 4, y);
    out += fmt::format(R"(<text x="{:.1f}" y="{}" text-anchor="middle">{:.0f}</text>)", axes.place_x(x),
                       kHeight - kBottom + 18, x);
  }
  return out;
}

std::string draw(const Curve& curve, const Axes& axes, const char* colour) {
  std::string points;
  for (const auto& [step, value] : curve.points) {
    points += fmt::format("{:.1f},{:.1f} ", axes.place_x(step), axes.place_y(value));
  }
  std::string out =
      fmt::format(R"(<polyline fill="none" stroke="{}" stroke-width="1.5" points="{}"/>)", colour, points);
  if (curve.points.size() <= 30) {
    for (const auto& [step, value] : curve.points) {
      out += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="2.5" fill="{}"/>)", axes.place_x(step),
                         axes.place_y(value), colour);
    }
  }
  return out;
}

std::string table(const Json& object) {
  std::string out = "<table>";
  for (const auto& [key, value] : object.items()) {
    const bool bytes = key.ends_with("_bytes") && value.is_number();
    const std::string shown = value.is_object()         ? table(value)
                              : bytes                   ? format_bytes(value.get<int64_t>())
                              : value.is_number_float() ? fmt::format("{:.6g}", value.get<double>())
                              : value.is_string()       ? escape_html(value.get<std::string>())
                                                        : escape_html(value.dump());
    out += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escape_html(key), shown);
  }
  return out + "</table>";
}

/// Class by class: a number of bytes is easier read beside its neighbours.
std::string memory_table(const Json& results) {
  if (!results.contains("peak_memory_bytes") || !results["peak_memory_bytes"].contains("cpu")) return "";
  std::string out = "<table><tr><th>class</th><th>peak</th></tr>";
  for (const auto& [key, value] : results["peak_memory_bytes"]["cpu"].items()) {
    out += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escape_html(key), format_bytes(value.get<int64_t>()));
  }
  return out + "</table>";
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Curve curve_of(const Json& log_history, const std::string& key, std::string name) {
  Curve curve{std::move(name), {}};
  for (const Json& entry : log_history) {
    if (!entry.contains(key) || !entry[key].is_number()) continue;
    const double value = entry[key].get<double>();
    if (std::isfinite(value)) curve.points.emplace_back(entry.value("step", 0.0), value);
  }
  return curve;
}

std::string line_chart(const std::string& title, const std::vector<Curve>& curves) {
  const Axes axes = axes_of(curves);
  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" font-family="sans-serif" font-size="12"><rect width="{0}" height="{1}" fill="#ffffff"/><text x="{2}" y="20" font-size="14" font-weight="bold">{3}</text>)",
      kWidth, kHeight, kLeft, escape_html(title));
  out += grid(axes);
  double legend = kWidth - kRight;
  for (size_t i = 0; i < curves.size(); ++i) {
    const char* colour = kColours[i % kColours.size()];
    out += draw(curves[i], axes, colour);
    out += fmt::format(R"(<text x="{}" y="20" text-anchor="end" fill="{}">{}</text>)", legend, colour,
                       escape_html(curves[i].name));
    legend -= 12 + 7 * static_cast<double>(curves[i].name.size());
  }
  return out + fmt::format(R"(<text x="{}" y="{}" text-anchor="middle">step</text></svg>)",
                           (kLeft + kWidth - kRight) / 2, kHeight - 6);
}

std::string report_html(const ReportParts& parts) {
  const Json& history = parts.log_history;
  std::string out = fmt::format(
      R"(<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{0}</title><style>body{{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1f2328}}table{{border-collapse:collapse}}th,td{{border:1px solid #d0d7de;padding:.2em .6em;text-align:left;vertical-align:top}}pre{{background:#f6f8fa;padding:1em;overflow:auto}}svg{{margin:.5em}}</style></head><body><h1>{0}</h1>)",
      escape_html(parts.title));
  out += "<h2>Curves</h2>";
  out += line_chart("loss", {curve_of(history, "loss", "train"), curve_of(history, "eval_loss", "eval")});
  out += line_chart("learning rate", {curve_of(history, "learning_rate", "learning_rate")});
  out += line_chart("gradient norm", {curve_of(history, "grad_norm", "grad_norm")});
  out += line_chart("tokens per second",
                    {curve_of(parts.results.value("speed_history", Json::array()), "tokens_per_second", "tokens/s")});
  out += "<h2>Memory</h2>" + memory_table(parts.results);
  Json shown = parts.results;
  shown.erase("speed_history");
  out += "<h2>Results</h2>" + table(shown);
  out += "<h2>Data</h2><pre>" + escape_html(parts.data_report) + "</pre>";
  out += "<h2>Settings</h2><pre>" + escape_html(parts.training_args) + "</pre>";
  return out + "</body></html>\n";
}

}  // namespace lathe
