#include "base/kill_point.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/write_calls.h"

namespace lathe {
namespace {

std::string g_name;
std::atomic<long> g_left{0};

[[noreturn]] void die() {
  raise(SIGKILL);
  std::abort();  // not reached
}

bool due(std::string_view name) {
  return name == g_name && --g_left == 0;
}

void die_if_due(std::string_view name) {
  if (due(name)) die();
}

/// The table that counts. Only ever put in when LATHE_KILL_AT is set.
WriteCalls killing_calls() {
  WriteCalls calls;
  calls.open = [](const char* path, int flags, mode_t mode) {
    die_if_due("open");
    return system_write_calls().open(path, flags, mode);
  };
  calls.write = [](int fd, const void* bytes, size_t count) {
    if (!due("write")) return system_write_calls().write(fd, bytes, count);
    (void)!system_write_calls().write(fd, bytes, count / 2);
    die();
  };
  calls.fsync = [](int fd) { return die_if_due("fsync"), system_write_calls().fsync(fd); };
  calls.rename = [](const char* from, const char* to) {
    return die_if_due("rename"), system_write_calls().rename(from, to);
  };
  calls.mkdir = [](const char* path, mode_t mode) {
    return die_if_due("mkdir"), system_write_calls().mkdir(path, mode);
  };
  calls.unlink = [](const char* path) { return die_if_due("unlink"), system_write_calls().unlink(path); };
  calls.rmdir = [](const char* path) { return die_if_due("rmdir"), system_write_calls().rmdir(path); };
  calls.truncate = [](int fd, off_t size) { return die_if_due("truncate"), system_write_calls().truncate(fd, size); };
  calls.point = [](const char* name) { die_if_due(name); };
  return calls;
}

}  // namespace

void install_kill_point() {
  const char* setting = std::getenv("LATHE_KILL_AT");
  if (setting == nullptr) return;
  const std::string_view text(setting);
  const size_t colon = text.find(':');
  long count = 1;
  if (colon != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, count);
    if (parsed.ec != std::errc() || parsed.ptr != end || count < 1) {
      throw Error(ErrorKind::kConfig, fmt::format("LATHE_KILL_AT is '{}', not NAME or NAME:COUNT", text));
    }
  }
  g_name = text.substr(0, colon);
  g_left = count;
  write_calls() = killing_calls();
}

}  // namespace lathe
