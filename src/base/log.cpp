#include "base/log.h"

#include <fmt/chrono.h>
#include <lathe/error.h>

#include <array>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/console.h"
#include "base/file.h"

namespace lathe::log {
namespace {

struct Sink {
  std::mutex mutex;
  std::unique_ptr<AppendFile> file;
  std::vector<std::string> before;  ///< lines that no file was open for
  size_t lost = 0;                  ///< such lines beyond what is kept
  Level console_level = Level::kInfo;
};

Sink& sink() {
  static Sink instance;
  return instance;
}

constexpr std::array<std::string_view, 4> kPrefixes{"debug: ", "", "warning: ", "error: "};

/// Call with the mutex held. A log that cannot be written must not end a run: said once, then given up.
void append(Sink& to, const std::string& line) {
  try {
    to.file->append(line);
  } catch (const Error& error) {
    to.file.reset();
    console::write_line(fmt::format("warning: no more lines go to the log file: {}", error.what()));
  }
}

/// Call with the mutex held.
void append(Sink& to, Level level, std::string_view text) {
  constexpr size_t kKept = 10000;  // of a run that lists its skipped rows, say
  const std::time_t now = std::time(nullptr);
  const std::string line =
      fmt::format("{:%F %T} {}{}\n", fmt::localtime(now), kPrefixes[static_cast<size_t>(level)], text);
  if (to.file) {
    append(to, line);
  } else if (to.before.size() < kKept) {
    to.before.push_back(line);
  } else {
    ++to.lost;
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
  for (const std::string& line : std::exchange(to.before, {})) {
    if (to.file) append(to, line);
  }
  const size_t lost = std::exchange(to.lost, 0);
  if (lost > 0) append(to, Level::kInfo, fmt::format("{} lines more were said before this file was opened", lost));
}

void close_log_file() {
  Sink& to = sink();
  const std::lock_guard lock(to.mutex);
  to.file.reset();
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
