#include "base/log.h"

#include <fmt/chrono.h>
#include <lathe/error.h>

#include <array>
#include <ctime>
#include <memory>
#include <mutex>

#include "base/console.h"
#include "base/file.h"

namespace lathe::log {
namespace {

struct Sink {
  std::mutex mutex;
  std::unique_ptr<AppendFile> file;
  Level console_level = Level::kInfo;
};

Sink& sink() {
  static Sink instance;
  return instance;
}

constexpr std::array<std::string_view, 4> kPrefixes{"debug: ", "", "warning: ", "error: "};

/// Call with the mutex held. A log that cannot be written must not end a run: said once, then given up.
void append(Sink& to, Level level, std::string_view text) {
  if (!to.file) return;
  try {
    const std::time_t now = std::time(nullptr);
    to.file->append(fmt::format("{:%F %T} {}{}\n", fmt::localtime(now), kPrefixes[static_cast<size_t>(level)], text));
  } catch (const Error& error) {
    to.file.reset();
    console::write_line(fmt::format("warning: no more lines go to the log file: {}", error.what()));
  }
}

}  // namespace

void write(Level level, std::string_view text) {
  Sink& to = sink();
  const std::lock_guard lock(to.mutex);
  if (level >= to.console_level) {
    console::write_line(fmt::format("{}{}", kPrefixes[static_cast<size_t>(level)], text));
  }
  append(to, level, text);
}

void open_log_file(const std::string& path) {
  Sink& to = sink();
  const std::lock_guard lock(to.mutex);
  to.file = std::make_unique<AppendFile>(path);
}

void to_file_only(std::string_view text) {
  Sink& to = sink();
  const std::lock_guard lock(to.mutex);
  append(to, Level::kInfo, text);
}

void set_console_level(Level level) {
  Sink& to = sink();
  const std::lock_guard lock(to.mutex);
  to.console_level = level;
}

}  // namespace lathe::log
