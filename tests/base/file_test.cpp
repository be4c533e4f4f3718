#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/write_calls.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class File : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/file_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    write_calls() = system_write_calls();
    fs::remove_all(folder_);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] size_t count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  template <typename Function>
  static std::string error_of(ErrorKind kind, Function function) {
    try {
      function();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      return error.what();
    }
    return "no error";
  }
  std::string folder_;
};

TEST_F(File, MapsBytesAndEmptyFiles) {
  atomic_write(path("a"), "abc");
  atomic_write(path("b"), "");
  const auto file = MappedFile::open(path("a"));
  EXPECT_EQ(file->text(), "abc");
  EXPECT_EQ(MappedFile::open(path("b"))->text(), "");
  fs::remove(path("a"));
  EXPECT_EQ(file->text(), "abc");
}

TEST_F(File, NamesWhatCannotBeRead) {
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { (void)MappedFile::open(path("none")); }),
              HasSubstr(path("none") + ": cannot open: No such file"));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { (void)MappedFile::open(folder_); }), HasSubstr("Is a directory"));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { (void)MappedFile::open("/dev/null"); }), HasSubstr("no regular file"));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { (void)read_text_file(path("none")); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { (void)read_text_file(folder_); }), HasSubstr("Is a directory"));
}

TEST_F(File, KeepsTheOldContentUntilCommit) {
  atomic_write(path("a"), "old");
  {
    AtomicFile file(path("a"));
    file.write("new and longer");
    EXPECT_EQ(read_text_file(path("a")), "old");
  }
  EXPECT_EQ(read_text_file(path("a")), "old");
  EXPECT_EQ(count(), 1U);
  AtomicFile file(path("a"));
  file.write("ne");
  file.write("w");
  file.commit();
  EXPECT_EQ(read_text_file(path("a")), "new");
  EXPECT_EQ(count(), 1U);
}

TEST_F(File, LeavesTheOldContentWhenAnyCallFails) {
  atomic_write(path("a"), "old");
  const auto expect_failure = [&](const char* text) {
    EXPECT_THAT(error_of(ErrorKind::kIo, [&] { atomic_write(path("a"), "new"); }), HasSubstr(text));
    write_calls() = system_write_calls();
    EXPECT_EQ(read_text_file(path("a")), "old");
    EXPECT_EQ(count(), 1U);
  };
  write_calls().open = [](const char*, int, mode_t) { return errno = EACCES, -1; };
  expect_failure("cannot create: Permission denied");
  write_calls().write = [](int, const void*, size_t) -> ssize_t { return errno = ENOSPC, -1; };
  expect_failure("free some space");
  write_calls().fsync = [](int) { return errno = EIO, -1; };
  expect_failure("cannot sync: Input/output error");
  write_calls().rename = [](const char*, const char*) { return errno = EIO, -1; };
  expect_failure("cannot rename into place");
}

TEST_F(File, WritesOnAfterShortAndInterruptedWrites) {
  write_calls().write = [](int fd, const void* bytes, size_t size) -> ssize_t {
    static int turn = 0;
    if (turn++ % 2 == 0) return errno = EINTR, -1;
    return ::write(fd, bytes, std::min<size_t>(size, 2));
  };
  atomic_write(path("a"), "abcdefg");
  EXPECT_EQ(read_text_file(path("a")), "abcdefg");
}

TEST_F(File, AppendsAndCuts) {
  {
    AppendFile file(path("a"));
    file.append("one\n");
    file.append("two\n");
    EXPECT_EQ(file.size(), 8);
    EXPECT_EQ(read_text_file(path("a")), "one\ntwo\n");
  }
  AppendFile file(path("a"), 4);
  EXPECT_EQ(file.size(), 4);
  file.append("three\n");
  EXPECT_EQ(read_text_file(path("a")), "one\nthree\n");
  EXPECT_EQ(AppendFile(path("a"), 100).size(), 10);
}

TEST_F(File, ALineThatFailedIsCutOffByTheNext) {
  AppendFile file(path("a"));
  file.append("one\n");
  write_calls().write = [](int fd, const void* bytes, size_t) -> ssize_t {
    static int turn = 0;
    if (turn++ == 0) return ::write(fd, bytes, 2);
    return errno = ENOSPC, -1;
  };
  EXPECT_THAT(error_of(ErrorKind::kIo, [&] { file.append("two\n"); }), HasSubstr("No space left"));
  EXPECT_EQ(read_text_file(path("a")), "one\ntw");
  write_calls() = system_write_calls();
  file.append("three\n");
  EXPECT_EQ(read_text_file(path("a")), "one\nthree\n");
}

TEST_F(File, AFolderIsRenamedOnlyToAFreePlace) {
  make_directory(path("x/y"));
  make_directory(path("z"));
  EXPECT_THAT(error_of(ErrorKind::kIo, [&] { rename_directory(path("x"), path("z")); }), HasSubstr("File exists"));
  rename_directory(path("x"), path("w"));
  EXPECT_TRUE(fs::is_directory(path("w/y")));
}

TEST_F(File, ChecksAFolderBeforeItIsNeeded) {
  ensure_writable_directory(path("x/y/z"), "output_dir");
  EXPECT_TRUE(fs::is_directory(path("x/y/z")));
  EXPECT_TRUE(fs::is_empty(path("x/y/z")));
  atomic_write(path("plain"), "");
  EXPECT_THAT(error_of(ErrorKind::kConfig, [&] { ensure_writable_directory(path("plain/z"), "output_dir"); }),
              HasSubstr("'output_dir': cannot write to the folder"));
  fs::create_symlink("loop", path("loop"));  // what is there cannot be told, as in a folder that may not be searched
  EXPECT_THAT(error_of(ErrorKind::kConfig, [&] { ensure_writable_directory(path("loop/z"), "output_dir"); }),
              HasSubstr("'output_dir': cannot write to the folder"));
}

TEST_F(File, RemovesAndMeasures) {
  fs::create_directories(path("x/y"));
  atomic_write(path("x/y/a"), "");
  fs::create_directory_symlink(path("x"), path("x/y/loop"));
  remove_directory(path("x"));
  EXPECT_FALSE(file_exists(path("x")));
  remove_directory(path("x"));
  const int64_t expected = static_cast<int64_t>(fs::space(folder_).available);
  EXPECT_NEAR(static_cast<double>(free_disk_bytes(path("not/yet/there"))), static_cast<double>(expected), 1e9);
}

}  // namespace
}  // namespace lathe
