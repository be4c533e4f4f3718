#include "data/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/sha256.h"
#include "base/write_calls.h"
#include "data/data_fixtures.h"
#include "data/data_report.h"

namespace lathe {
namespace {

using testing::error_of;
using testing::gsm8k;
using ::testing::HasSubstr;
using testing::qwen;
using testing::same;

constexpr size_t kHeader = 128, kSigned = 64, kRow = 24;
const std::vector<std::string> kPaths = {"rows.jsonl", "more.jsonl"};

class TokenFile : public ::testing::Test {
 protected:
  TokenFile() {
    RowsRead rows = gsm8k();
    rows.rows.resize(40);
    for (size_t i = 30; i < 40; ++i) rows.rows[i].file = 1;
    rows.files = kPaths;
    rows.duplicates = 2;
    rows.notes = {"a note"};
    rows.skipped = {{"rows.jsonl", 7, "broken \"row\""}, {"more.jsonl", 9, "空"}};
    EncodeOptions options;
    options.max_seq_length = 190;
    dataset_ = encode_rows(rows, qwen(), options);
    write_token_file(path_, dataset_, kPaths, "key");
    bytes_ = read_text_file(path_);
  }
  [[nodiscard]] Dataset map() const { return map_token_file(path_, kPaths, "key", qwen().vocab_size()); }

  /// What is said of the file with these bytes.
  std::string complaint(const std::string& bytes) const {
    atomic_write(path_, bytes);
    const Error error = error_of([&] { (void)map(); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_EQ(error.where().file, path_);
    return error.message();
  }
  /// Puts value at that byte and makes the checksum right again.
  template <typename T>
  std::string complaint_with(size_t at, T value) const {
    std::string bytes = bytes_;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    const std::string digest = Sha256().update(bytes.substr(0, kSigned)).update(bytes.substr(kHeader)).hex();
    bytes.replace(kSigned, digest.size(), digest);
    return complaint(bytes);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.tokens", bytes_;
  Dataset dataset_;
};

TEST_F(TokenFile, HoldsRowsCountsAndNotes) {
  const Dataset mapped = map();
  ASSERT_EQ(mapped.samples.size(), dataset_.samples.size());
  for (size_t i = 0; i < mapped.samples.size(); ++i) EXPECT_TRUE(same(mapped.samples[i], dataset_.samples[i])) << i;
  EXPECT_EQ(describe(mapped.report), describe(dataset_.report));
  EXPECT_THAT(describe(mapped.report), HasSubstr("skipped more.jsonl:9: 空"));
  EXPECT_GT(mapped.report.rows_truncated, 0);
  EXPECT_EQ(mapped.report.rows_duplicated, 2);
  EXPECT_EQ(mapped.fingerprint, dataset_.fingerprint);
  const char* const begin = reinterpret_cast<const char*>(mapped.samples.front().input_ids.data());
  EXPECT_NE(begin, reinterpret_cast<const char*>(dataset_.samples.front().input_ids.data()));
}

TEST_F(TokenFile, TheNamesOfTheFilesAreTodays) {
  const Dataset mapped = map_token_file(path_, {"x.jsonl", "y.jsonl"}, "key", qwen().vocab_size());
  EXPECT_EQ(mapped.report.skipped.at(1).file, "y.jsonl");
}

TEST_F(TokenFile, EveryBitCounts) {
  for (size_t at = 0; at < bytes_.size(); at += at < kHeader + 2 * kRow ? 1 : 1501) {
    if (at >= 40 && at < kSigned) continue;  // reserved, and signed: below
    std::string broken = bytes_;
    broken[at] = static_cast<char>(broken[at] ^ 4);
    EXPECT_FALSE(complaint(broken).empty()) << at;
  }
  std::string reserved = bytes_;
  reserved[50] = 1;
  EXPECT_THAT(complaint(reserved), HasSubstr("its checksum does not match"));
}

TEST_F(TokenFile, CutOrLengthenedFilesAreFound) {
  for (const size_t length :
       {size_t{0}, size_t{5}, kHeader - 1, kHeader, kHeader + 7, bytes_.size() / 2, bytes_.size() - 1}) {
    EXPECT_FALSE(complaint(bytes_.substr(0, length)).empty()) << length;
  }
  EXPECT_THAT(complaint(bytes_ + "x"), HasSubstr("its header speaks of others"));
  EXPECT_THAT(complaint_with<uint64_t>(16, UINT64_MAX), HasSubstr("its header speaks of others"));  // rows
  EXPECT_THAT(complaint_with<uint64_t>(24, uint64_t{1} << 61), HasSubstr("its header speaks of others"));
}

// The checksum is right in all of these: whoever wrote the file is not trusted either.
TEST_F(TokenFile, EveryIndexIsCheckedThoughTheChecksumIsRight) {
  const size_t ids = kHeader + kRow * dataset_.samples.size();
  const size_t labels = ids + 4 * static_cast<size_t>(dataset_.report.tokens);
  EXPECT_THAT(complaint_with<uint64_t>(kHeader, 0), HasSubstr("row 0 lies outside"));
  EXPECT_THAT(complaint_with<uint64_t>(kHeader, 1u << 30), HasSubstr("row 0 lies outside"));
  EXPECT_THAT(complaint_with<uint64_t>(ids - kRow, 1), HasSubstr("lies outside"));
  EXPECT_THAT(complaint_with<int64_t>(kHeader + 8, -1), HasSubstr("row 0 lies outside"));
  EXPECT_THAT(complaint_with<int32_t>(kHeader + 16, 2), HasSubstr("row 0 lies outside"));
  const auto all_but_one = static_cast<uint64_t>(dataset_.report.tokens - 1);
  EXPECT_THAT(complaint_with<uint64_t>(ids - kRow, all_but_one), HasSubstr("do not add up"));
  EXPECT_THAT(complaint_with<int32_t>(ids + 4, static_cast<int32_t>(qwen().vocab_size())), HasSubstr("token 1 is"));
  EXPECT_THAT(complaint_with<int32_t>(ids, -100), HasSubstr("token 0 is -100"));
  EXPECT_THAT(complaint_with<int32_t>(labels + 8, 5), HasSubstr("the label of token 2 is 5"));
  EXPECT_THAT(complaint_with<uint32_t>(8, 2), HasSubstr("another format"));
  EXPECT_FALSE(complaint_with<char>(bytes_.size() - 1, 'x').empty());  // no JSON
  atomic_write(path_, bytes_);
  EXPECT_THAT(error_of([&] { (void)map_token_file(path_, {"rows.jsonl"}, "key", qwen().vocab_size()); }).message(),
              HasSubstr("its counts cannot be read"));
  EXPECT_THAT(error_of([&] { (void)map_token_file(path_, kPaths, "other", qwen().vocab_size()); }).message(),
              HasSubstr("made for something else"));
}

// A kill at any write, sync or rename leaves the file before it, or the whole new one.
TEST_F(TokenFile, KilledWhileWritingItIsWholeOrTheOneBefore) {
  static int calls_left;
  const auto killed_at = [&](int call) {
    const pid_t child = ::fork();
    if (child == 0) {
      calls_left = call;
      write_calls().write = [](int fd, const void* bytes, size_t count) -> ssize_t {
        if (calls_left-- == 0) {
          (void)!::write(fd, bytes, count / 2);
          ::_exit(1);
        }
        return ::write(fd, bytes, count);
      };
      write_calls().fsync = [](int fd) { return calls_left-- == 0 ? (::_exit(1), 0) : ::fsync(fd); };
      write_calls().rename = [](const char* from, const char* to) {
        return calls_left-- == 0 ? (::_exit(1), 0) : ::rename(from, to);
      };
      write_token_file(path_, dataset_, kPaths, "key");
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status != 0;
  };
  int kills = 0;
  for (const bool before : {false, true}) {
    for (int call = 0;; ++call, ++kills) {
      before ? atomic_write(path_, bytes_) : void(std::filesystem::remove(path_));
      const bool killed = killed_at(call);
      if (file_exists(path_)) {
        EXPECT_EQ(map().samples.size(), dataset_.samples.size());
      } else {
        EXPECT_FALSE(before);
      }
      if (!killed) break;
    }
  }
  EXPECT_GE(kills, 6);
}

TEST_F(TokenFile, AFullDiskIsAnErrorAndLeavesNothing) {
  const std::string other = folder_ / "b.tokens";
  write_calls().write = [](int, const void*, size_t) -> ssize_t {
    errno = ENOSPC;
    return -1;
  };
  const Error error = error_of([&] { write_token_file(other, dataset_, kPaths, "key"); });
  write_calls() = system_write_calls();
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);  // the fixture's
}

}  // namespace
}  // namespace lathe
