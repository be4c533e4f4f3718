#include "base/json.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/file.h"

namespace lathe {
namespace {

// Deeper than any file Lathe reads; a bound, because code that walks a document recurses.
constexpr size_t kMaxDepth = 256;

/// Hands out characters and counts them where the builder can see the count.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* consumed) : at_(at), consumed_(consumed) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*consumed_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  size_t* consumed_;
};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// JSON has no NaN or Infinity, but Python's json writes them (a trainer_state.json with a loss that overflowed). Each
/// such literal is replaced by a number of the same length, and its end remembered with the value meant.
class NonFinite {
 public:
  explicit NonFinite(std::string_view text) : text_(text) {
    if (text.find("NaN") == text.npos && text.find("Infinity") == text.npos) return;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
      if (in_string && text[i] == '\\') {
        ++i;
      } else if (text[i] == '"') {
        in_string = !in_string;
      } else if (!in_string && !replace(i, "NaN", "0e0", std::numeric_limits<double>::quiet_NaN())) {
        replace(i, "Infinity", "0e000000", std::numeric_limits<double>::infinity());
      }
    }
  }
  [[nodiscard]] std::string_view text() const { return ends_.empty() ? text_ : std::string_view(copy_); }
  /// Value of a number after which consumed characters have been read. The reader is one character ahead of a number,
  /// except at the end of the text.
  [[nodiscard]] double value(double parsed, size_t consumed) const {
    if (ends_.empty()) return parsed;
    auto found = ends_.find(consumed - 1);
    if (found == ends_.end()) found = ends_.find(consumed);
    return found == ends_.end() ? parsed : std::copysign(found->second, parsed);
  }

 private:
  bool replace(size_t at, std::string_view literal, std::string_view stand_in, double value) {
    if (text_.compare(at, literal.size(), literal) != 0) return false;
    size_t before = at;
    if (before > 0 && text_[before - 1] == '-' && literal != "NaN") --before;
    const size_t end = at + literal.size();
    const bool starts = before == 0 || is_space(text_[before - 1]) ||
                        std::string_view(",:[").find(text_[before - 1]) != std::string_view::npos;
    const bool stops = end == text_.size() || is_space(text_[end]) ||
                       std::string_view(",]}").find(text_[end]) != std::string_view::npos;
    if (!starts || !stops) return false;
    if (ends_.empty()) copy_ = text_;
    copy_.replace(at, stand_in.size(), stand_in);
    ends_.emplace(end, value);
    return true;
  }

  std::string_view text_;
  std::string copy_;
  std::unordered_map<size_t, double> ends_;
};

/// Turns byte offsets, asked for in rising order, into lines and columns.
class LineCounter {
 public:
  LineCounter(std::string_view text, int64_t first_line) : text_(text), line_(first_line) {}
  Position at(size_t offset) {
    for (; scanned_ < offset; ++scanned_) {
      if (text_[scanned_] == '\n') {
        ++line_;
        line_start_ = scanned_ + 1;
      }
    }
    return {line_, static_cast<int64_t>(offset - line_start_) + 1};
  }

 private:
  std::string_view text_;
  int64_t line_;
  size_t scanned_ = 0, line_start_ = 0;
};

std::string escape_pointer(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

/// Receives nlohmann's events and builds the document. Not nlohmann's own builder: that one looks a key up in the whole
/// object at each insertion (a vocabulary has 150,000), keeps the last of two equal keys and knows no positions.
class Builder {
 public:
  Builder(std::string_view text, const NonFinite& non_finite, const std::string& file, int64_t first_line,
          JsonPositions* positions)
      : text_(text), non_finite_(non_finite), file_(file), lines_(text, first_line), positions_(positions) {}

  [[nodiscard]] size_t* consumed() { return &consumed_; }
  Json take() { return std::move(root_); }

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(int64_t value) { return scalar(value); }
  bool number_unsigned(uint64_t value) { return scalar(value); }
  bool number_float(double value, const std::string&) { return scalar(non_finite_.value(value, consumed_)); }
  bool string(std::string& value) { return scalar(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& value) {
    Level& level = levels_.back();
    const Position position = lines_.at(string_start());
    if (const auto [first, fresh] = level.keys.emplace(value, position.line); !fresh) {
      throw Error(ErrorKind::kData, fmt::format("the key '{}' is given twice (first in line {})", value, first->second),
                  {.file = file_, .line = position.line, .key = value});
    }
    level.key = value;
    if (positions_ != nullptr) positions_->emplace(level.pointer + "/" + escape_pointer(value), position);
    return true;
  }

  bool parse_error(size_t offset, const std::string&, const nlohmann::detail::exception& error) {
    std::string what = error.what();
    if (const size_t cut = what.find(": "); cut != what.npos && what.find("parse error at") != what.npos) {
      what.erase(0, cut + 2);
    } else if (const size_t bracket = what.find("] "); bracket != what.npos) {
      what.erase(0, bracket + 2);
    }
    const size_t last = offset == 0 ? 0 : offset - 1;
    const Position position = lines_.at(std::min(last, text_.size()));
    throw Error(ErrorKind::kData, fmt::format("no valid JSON at column {}: {}", position.column, what),
                {.file = file_, .line = position.line});
  }

 private:
  struct Level {
    Json* value;
    std::string pointer, key;
    int64_t index = 0;
    std::unordered_map<std::string, int64_t> keys;  // with the line of each
  };

  /// Offset of the opening quote of the string just read: inside a string every quote has an odd number of backslashes.
  [[nodiscard]] size_t string_start() const {
    for (size_t at = consumed_ - 1; at-- > 0;) {
      if (text_[at] != '"') continue;
      size_t backslashes = 0;
      while (backslashes < at && text_[at - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return at;
    }
    return 0;
  }

  [[nodiscard]] size_t value_start(const Json& value) const {
    if (value.is_structured()) return consumed_ - 1;
    if (value.is_string()) return string_start();
    const std::string_view stops = ",[] \t\r\n";
    size_t start = std::min(consumed_, text_.size());
    if (value.is_number() && start > 0 && stops.find(text_[start - 1]) != stops.npos) --start;
    while (start > 0 && stops.find(text_[start - 1]) == stops.npos) --start;
    return start;
  }

  /// Puts value where it belongs; returns where it now lives.
  Json* place(Json&& value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Level& level = levels_.back();
    if (level.value->is_array()) {
      if (positions_ != nullptr) {
        positions_->emplace(fmt::format("{}/{}", level.pointer, level.index), lines_.at(value_start(value)));
      }
      ++level.index;
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    auto& members = level.value->get_ref<Json::object_t&>();
    members.emplace_back(level.key, std::move(value));
    return &members.back().second;
  }

  template <typename T>
  bool scalar(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }

  bool open(Json&& value) {
    if (levels_.size() >= kMaxDepth) {
      throw Error(ErrorKind::kData, fmt::format("nested deeper than {} levels", kMaxDepth),
                  {.file = file_, .line = lines_.at(consumed_ - 1).line});
    }
    std::string pointer;
    if (positions_ != nullptr && !levels_.empty()) {
      const Level& level = levels_.back();
      pointer = level.value->is_array() ? fmt::format("{}/{}", level.pointer, level.index)
                                        : level.pointer + "/" + escape_pointer(level.key);
    }
    Json* const placed = place(std::move(value));
    levels_.push_back({placed, std::move(pointer), {}, 0, {}});
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  std::string_view text_;
  const NonFinite& non_finite_;
  const std::string& file_;
  LineCounter lines_;
  JsonPositions* positions_;
  size_t consumed_ = 0;
  Json root_;
  std::vector<Level> levels_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& file, int64_t first_line, JsonPositions* positions) {
  const NonFinite non_finite(text);
  const std::string_view plain = non_finite.text();
  Builder builder(plain, non_finite, file, first_line, positions);
  const CountingIterator begin(plain.data(), builder.consumed());
  const CountingIterator end(plain.data() + plain.size(), builder.consumed());
  Json::sax_parse(begin, end, &builder);
  return builder.take();
}

Json read_json_file(const std::string& path, JsonPositions* positions) {
  return parse_json(read_text_file(path), path, 1, positions);
}

}  // namespace lathe
