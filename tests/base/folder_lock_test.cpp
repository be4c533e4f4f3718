#include "base/folder_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/temporary_folder.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

TEST(FolderLock, KeepsOthersOutUntilItGoes) {
  const TemporaryFolder folder;
  {
    std::optional<FolderLock> held = FolderLock::take(folder.path());
    ASSERT_TRUE(held.has_value());
    EXPECT_FALSE(FolderLock::take(folder.path()).has_value());
    FolderLock moved = std::move(*held);
    held.reset();
    EXPECT_FALSE(FolderLock::take(folder.path()).has_value());
    moved = FolderLock();
    EXPECT_TRUE(FolderLock::take(folder.path()).has_value());
  }
  EXPECT_TRUE(FolderLock::take(folder.path()).has_value());
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(FolderLock, GoesWithTheFolderItWasTakenOf) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out");
  const std::optional<FolderLock> held = FolderLock::take(folder / "out");
  fs::rename(folder / "out", folder / "aside");
  fs::create_directory(folder / "out");
  EXPECT_TRUE(FolderLock::take(folder / "out").has_value());
  EXPECT_FALSE(FolderLock::take(folder / "aside").has_value());
}

TEST(FolderLock, EndsWithItsProcess) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    const std::optional<FolderLock> held = FolderLock::take(folder.path());
    kill(getpid(), held ? SIGKILL : SIGABRT);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(FolderLock::take(folder.path()).has_value());
}

}  // namespace
}  // namespace lathe
