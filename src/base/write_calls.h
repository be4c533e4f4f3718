#pragma once
// The system calls that change files, as a table: base/file.cpp makes every one of them through it. A test that wants a
// full disk, a failing sync or the trace of a save puts its own functions in (tests/train/write_faults.h), and the kill
// tests make the program stop at one of them (base/kill_point.h).
#include <sys/types.h>

#include <cstddef>

namespace lathe {

struct WriteCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* bytes, size_t count);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*mkdir)(const char* path, mode_t mode);
  int (*unlink)(const char* path);
  int (*rmdir)(const char* path);
  int (*truncate)(int fd, off_t size);
  void (*point)(const char* name);  ///< a named place between calls that a test may want to know of
};

/// The table in use. Change it only while nothing is being written.
[[nodiscard]] WriteCalls& write_calls();
[[nodiscard]] WriteCalls system_write_calls();

}  // namespace lathe
