#include "data/readers.h"

#include <lathe/error.h>

namespace lathe {
namespace {

bool is_blank_byte(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank_byte(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank_byte(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<RawRow> split_lines(std::string_view text) {
  std::vector<RawRow> rows;
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view piece = trim_blanks(text.substr(0, end));
    if (!piece.empty()) rows.push_back({line, piece});
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return rows;
}

/// Walks one array without parsing its elements: only strings and nesting matter for where one ends.
class ArraySplitter {
 public:
  ArraySplitter(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::vector<RawRow> split() {
    skip_blanks();
    const int64_t opened = line_;
    ++at_;
    std::vector<RawRow> rows;
    for (char ended_by = ','; ended_by == ',';) {
      skip_blanks();
      const int64_t line = line_;
      const size_t begin = at_;
      ended_by = skip_element(opened);
      const std::string_view piece = trim_blanks(text_.substr(begin, at_ - begin));
      ++at_;
      const bool empty_array = rows.empty() && ended_by == ']' && piece.empty();
      if (!empty_array) rows.push_back({line, piece});
    }
    skip_blanks();
    if (at_ < text_.size()) throw Error(ErrorKind::kData, "there is text behind the array", {file_, line_, {}});
    return rows;
  }

 private:
  void skip_blanks() {
    for (; at_ < text_.size() && is_blank_byte(text_[at_]); ++at_) line_ += text_[at_] == '\n';
  }

  /// To the ',' or ']' that ends the element; returns it.
  char skip_element(int64_t opened) {
    int64_t depth = 0;
    bool in_string = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      line_ += c == '\n';
      if (in_string) {
        if (c == '\\' && at_ + 1 < text_.size()) ++at_;
        if (c == '"') in_string = false;
      } else if (c == '"') {
        in_string = true;
      } else if (depth == 0 && (c == ',' || c == ']')) {
        return c;
      } else {
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
      }
    }
    throw Error(ErrorKind::kData, "the array that begins here is not closed", {file_, opened, {}},
                "the file may have been cut off; end it with ']'");
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

}  // namespace

std::vector<RawRow> split_rows(std::string_view text, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (file.ends_with(".json") && trim_blanks(text).starts_with('[')) return ArraySplitter(text, file).split();
  return split_lines(text);
}

}  // namespace lathe
