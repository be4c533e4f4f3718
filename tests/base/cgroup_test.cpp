#include "base/cgroup.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace lathe {
namespace {

class Cgroup : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    const std::string whole = root_ / path;
    std::filesystem::create_directories(std::filesystem::path(whole).parent_path());
    atomic_write(whole, text);
  }
  [[nodiscard]] std::optional<int64_t> available() const { return cgroup_available_bytes(root_.path()); }
  TemporaryFolder root_;
};

TEST_F(Cgroup, NoneWithoutALimit) {
  EXPECT_EQ(available(), std::nullopt);
  put("proc/self/cgroup", "0::/a\n");
  put("sys/fs/cgroup/a/memory.max", "max\n");
  put("sys/fs/cgroup/a/memory.current", "5\n");
  EXPECT_EQ(available(), std::nullopt);
}

TEST_F(Cgroup, TakesTheTightestOfTheGroupsAbove) {
  put("proc/self/cgroup", "0::/a/b\n");
  put("sys/fs/cgroup/a/b/memory.max", "1000\n");
  put("sys/fs/cgroup/a/b/memory.current", "100\n");
  EXPECT_EQ(available(), 900);
  put("sys/fs/cgroup/a/memory.max", "800\n");
  put("sys/fs/cgroup/a/memory.current", "600\n");
  put("sys/fs/cgroup/a/memory.stat", "anon 300\ninactive_file 50\nactive_file 40\n");
  EXPECT_EQ(available(), 270);
}

TEST_F(Cgroup, FindsTheContainersRoot) {
  put("proc/self/cgroup", "0::/system.slice/box\n");
  put("sys/fs/cgroup/memory.max", "1000\n");
  put("sys/fs/cgroup/memory.current", "1100\n");
  EXPECT_EQ(available(), 0);
}

TEST_F(Cgroup, ReadsVersionOne) {
  put("proc/self/cgroup", "7:cpu,cpuacct:/x\n6:memory:/x\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "7\n");
  EXPECT_EQ(available(), std::nullopt);
  put("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "5000\n");
  put("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "2000\n");
  put("sys/fs/cgroup/memory/x/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
  EXPECT_EQ(available(), 3500);
}

}  // namespace
}  // namespace lathe
