#pragma once
// The system calls that write, as a table: base/file.cpp makes every one of them through it, and a test that wants a
// full disk or a failing sync puts its own function in (tests/base/file_test.cpp).
#include <sys/types.h>

#include <cstddef>

namespace lathe {

struct WriteCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* bytes, size_t count);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
};

/// The table in use. Change it only while nothing is being written.
[[nodiscard]] WriteCalls& write_calls();
[[nodiscard]] WriteCalls system_write_calls();

}  // namespace lathe
