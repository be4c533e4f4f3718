#include "base/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <mutex>
#include <string>

namespace lathe::console {
namespace {

constexpr std::string_view kClearLine = "\r\033[K";

std::mutex mutex;

std::string& bar() {
  static std::string text;
  return text;
}

/// One write, so that lines of several processes on one terminal do not mix. What the console does not take is lost.
void emit(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void write_line(std::string_view line) {
  const std::lock_guard lock(mutex);
  std::string out;
  if (!bar().empty()) out += kClearLine;
  out += line;
  out += '\n';
  out += bar();
  emit(out);
}

void set_bar(std::string_view text) {
  const std::lock_guard lock(mutex);
  bar() = text;
  emit(std::string(kClearLine) + bar());
}

void keep_bar() {
  const std::lock_guard lock(mutex);
  if (!bar().empty()) emit("\n");
  bar().clear();
}

bool is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

int width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace lathe::console
