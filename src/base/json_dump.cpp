#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lathe {
namespace {

/// As Python's repr(float): the fewest digits that read back equal; an exponent below 1e-4 and from 1e16 on.
void append_double(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "Infinity" : "-Infinity";
  } else {
    const double size = std::fabs(value);
    const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
    char buffer[40];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                   plain ? std::chars_format::fixed : std::chars_format::scientific);
    const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
    out += text;
    if (plain && text.find('.') == text.npos) out += ".0";  // an integral double stays a double when read back
  }
}

void append_string(const std::string& text, std::string& out) {
  // nlohmann's own dump escapes control characters, and replaces what is no UTF-8 instead of writing an unreadable
  // file.
  out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

class Dumper {
 public:
  explicit Dumper(int indent) : indent_(indent) {}

  void append(const Json& value, int depth) {
    if (value.is_object()) {
      list(value, depth, '{', '}', [&](auto& item) {
        append_string(item.key(), out_);
        out_ += indent_ < 0 ? ":" : ": ";
      });
    } else if (value.is_array()) {
      list(value, depth, '[', ']', [](auto&) {});
    } else if (value.is_number_float()) {
      append_double(value.get<double>(), out_);
    } else if (value.is_string()) {
      append_string(value.get_ref<const std::string&>(), out_);
    } else {
      out_ += value.dump();
    }
  }
  std::string take() { return std::move(out_); }

 private:
  template <typename Prefix>
  void list(const Json& value, int depth, char open, char close, Prefix prefix) {
    out_ += open;
    for (auto item = value.begin(); item != value.end(); ++item) {
      if (item != value.begin()) out_ += ',';
      new_line(depth + 1);
      prefix(item);
      append(*item, depth + 1);
    }
    if (!value.empty()) new_line(depth);
    out_ += close;
  }
  void new_line(int depth) {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(depth * indent_), ' ');
  }

  int indent_;
  std::string out_;
};

}  // namespace

std::string dump_json(const Json& json, int indent) {
  Dumper dumper(indent);
  dumper.append(json, 0);
  return dumper.take();
}

}  // namespace lathe
