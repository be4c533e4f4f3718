#pragma once
// Standard error, shared by log lines and at most one progress bar at its bottom. Safe for concurrent use.
#include <string_view>

namespace lathe::console {

/// Writes one line, above the bar if there is one.
void write_line(std::string_view line);
/// Draws text as the last line, in place of the bar before.
void set_bar(std::string_view text);
/// The bar as it stands becomes an ordinary line; there is no bar afterwards.
void keep_bar();
[[nodiscard]] bool is_terminal();
[[nodiscard]] int width();  ///< in columns

}  // namespace lathe::console
