#include "base/kill_point.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "base/write_calls.h"

namespace lathe {
namespace {

class KillPoint : public ::testing::Test {
 protected:
  ~KillPoint() override { ::unsetenv("LATHE_KILL_AT"); }
  static void install(const char* setting) {
    ::setenv("LATHE_KILL_AT", setting, 1);
    install_kill_point();
  }
  TemporaryFolder folder_;
};

TEST_F(KillPoint, NothingIsDoneUnasked) {
  install_kill_point();
  EXPECT_EQ(write_calls().write, system_write_calls().write);
}

TEST_F(KillPoint, DiesAtTheCallThatIsNamed) {
  const auto two_files = [this] {
    atomic_write(folder_ / "a", "abcdef");
    atomic_write(folder_ / "b", "abcdef");
  };
  EXPECT_EXIT((install("rename:2"), two_files()), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT((install("write"), AppendFile(folder_ / "half").append("abcdef")), ::testing::KilledBySignal(SIGKILL),
              "");
  EXPECT_EQ(read_text_file(folder_ / "half"), "abc");
  EXPECT_EXIT((install("here"), write_calls().point("here")), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT((install("rename:3"), two_files(), std::exit(0)), ::testing::ExitedWithCode(0), "");
}

TEST_F(KillPoint, RefusesWhatItCannotRead) {
  for (const char* setting : {"write:", "write:x", "write:0"}) EXPECT_THROW(install(setting), Error) << setting;
}

}  // namespace
}  // namespace lathe
