#include "base/write_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace lathe {
namespace {

int plain_open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}

void no_point(const char* /*name*/) {}

}  // namespace

WriteCalls system_write_calls() {
  return {.open = plain_open,
          .write = ::write,
          .fsync = ::fsync,
          .rename = ::rename,
          .mkdir = ::mkdir,
          .unlink = ::unlink,
          .rmdir = ::rmdir,
          .truncate = ::ftruncate,
          .point = no_point};
}

WriteCalls& write_calls() {
  static WriteCalls calls = system_write_calls();
  return calls;
}

}  // namespace lathe
