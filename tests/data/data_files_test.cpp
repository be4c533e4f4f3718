#include "data/data_files.h"

#include <gtest/gtest.h>

#include "data/data_fixtures.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::write_file;

TEST(DataFiles, TheFingerprintIsThatOfAllBytesInOrder) {
  const std::string first = write_file("a.jsonl", "one\n"), second = write_file("b.jsonl", "two\n");
  const DataFiles files = fingerprint_files({first, second});
  EXPECT_EQ(files.fingerprint, Sha256().update("one\ntwo\n").hex());
  EXPECT_EQ(files.sizes, (std::vector<int64_t>{4, 4}));
  EXPECT_NE(files.fingerprint, fingerprint_files({second, first}).fingerprint);
  EXPECT_EQ(error_of([&] { (void)fingerprint_files({first, first + ".gone"}); }).where().file, first + ".gone");
}

}  // namespace
}  // namespace lathe
