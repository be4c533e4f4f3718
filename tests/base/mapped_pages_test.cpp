#include "base/mapped_pages.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace lathe {
namespace {

size_t resident_pages(std::span<const std::byte> bytes, size_t page) {
  // smaps counts what this process has touched; what the kernel holds of the file says nothing of the mapping.
  std::FILE* smaps = std::fopen("/proc/self/smaps", "r");
  char line[512];
  size_t kib = 0, begin = 0, end = 0;
  const auto address = reinterpret_cast<size_t>(bytes.data());
  while (std::fgets(line, sizeof line, smaps) != nullptr) {
    size_t from = 0, to = 0, value = 0;
    if (std::sscanf(line, "%zx-%zx ", &from, &to) == 2) begin = from, end = to;
    if (begin <= address && address < end && std::sscanf(line, "Rss: %zu kB", &value) == 1) kib = value;
  }
  std::fclose(smaps);
  return kib * 1024 / page;
}

TEST(MappedPages, GivenBackAndReadAgain) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  atomic_write(path, std::string(64 * page, 'x'));
  const auto file = MappedFile::open(path);
  const auto count = [&] { return std::count(file->bytes().begin(), file->bytes().end(), std::byte{'x'}); };
  EXPECT_EQ(count(), static_cast<ptrdiff_t>(64 * page));
  EXPECT_EQ(resident_pages(file->bytes(), page), 64U);
  give_back_pages(file->bytes().subspan(page / 2, 8 * page));  // the pages at both ends are shared
  EXPECT_EQ(resident_pages(file->bytes(), page), 57U);
  give_back_pages(file->bytes().first(page / 2));
  EXPECT_EQ(resident_pages(file->bytes(), page), 57U);
  EXPECT_EQ(count(), static_cast<ptrdiff_t>(64 * page));
}

}  // namespace
}  // namespace lathe
