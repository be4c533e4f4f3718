#pragma once
// Files of rows to pieces of JSON text, each with the line it begins on.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct RawRow {
  int64_t line;           ///< 1-based, of the piece's first character
  std::string_view text;  ///< one JSON value, not yet parsed; a view of the file's text
};

/// JSONL: one piece a line, lines of blanks left out. A file named *.json whose first character is '[' is one array
/// instead: one piece an element. A UTF-8 byte order mark at the beginning is skipped; \r\n ends a line as \n does.
/// @throws Error(kData) with file and line for an array that is not closed, or text behind it.
[[nodiscard]] std::vector<RawRow> split_rows(std::string_view text, const std::string& file);

}  // namespace lathe
