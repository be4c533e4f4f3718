#pragma once
// What the user reads. Lines go to standard error (the bar's side) and, once open_log_file was called, to a file too.
#include <fmt/core.h>

#include <string>
#include <string_view>

namespace lathe::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void write(Level level, std::string_view text);
/// Everything from now on is also appended to path, behind what was said since the program began or the last file was
/// closed.
void open_log_file(const std::string& path);
void close_log_file();
/// Goes to the log file alone (long things: ids and labels of the sample row).
void to_file_only(std::string_view text);
void set_console_level(Level level);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lathe::log
