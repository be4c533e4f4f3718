#pragma once
// JSON, with the position of every key. nlohmann's ordered_json keeps a user's own key order; files that use its
// members include <nlohmann/json.hpp> themselves.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace lathe {

using Json = nlohmann::ordered_json;

struct Position {
  int64_t line = 0;    ///< 1-based; 0: unknown
  int64_t column = 0;  ///< 1-based, in bytes
};

/// Where each key of a document stands, by JSON pointer ("/optimizer/params/lr"; array elements by index).
using JsonPositions = std::map<std::string, Position>;

/// Parses the whole of text. @param file named in errors. @param first_line line number of text's first line.
/// @param positions out, may be null. @throws Error(kData) with file and line; duplicate keys are an error too.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& file, int64_t first_line = 1,
                              JsonPositions* positions = nullptr);

/// Reads and parses a file. @throws Error(kData) when it is missing, unreadable or no JSON.
[[nodiscard]] Json read_json_file(const std::string& path, JsonPositions* positions = nullptr);

/// Compact (indent < 0) or indented text, UTF-8 kept as it is, doubles printed with the fewest digits that read back
/// equal. NaN and infinities become NaN, Infinity, -Infinity, as Python's json writes them.
[[nodiscard]] std::string dump_json(const Json& json, int indent = -1);

}  // namespace lathe
