#include "data/row.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_fixtures.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::write_file;

RowsRead read_text(std::string_view text, const std::string& name = "rows.jsonl") {
  return read_rows({write_file(name, text)}, BadRowPolicy::kError);
}

Error error_of_row(std::string_view row) {
  const std::string path = write_file("rows.jsonl", "\n{\"text\":\"fine\"}\n" + std::string(row) + "\n");
  const Error error = error_of([&] { (void)read_rows({path}, BadRowPolicy::kError); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_EQ(error.where().file, path);
  EXPECT_EQ(error.where().line, 3);
  return error;
}

TEST(Rows, ArraysAreReadElementByElement) {
  const RowsRead read =
      read_text("[\n {\"text\": \"a],\\\"{\"},\n\n {\"text\":\n \"b\"} ,{\"text\":\"c\"}\n]\n", "rows.json");
  ASSERT_EQ(read.rows.size(), 3u);
  EXPECT_EQ(read.rows[0].text, "a],\"{");
  EXPECT_EQ(read.rows[0].line, 2);
  EXPECT_EQ(read.rows[1].line, 4);
  EXPECT_EQ(read.rows[2].line, 5);
  EXPECT_EQ(read_text("{\"text\":\"a\"}\n{\"text\":\"b\"}\n", "rows.json").rows.size(), 2u);
}

TEST(Rows, BrokenArraysAreErrors) {
  const auto error = [](std::string_view text) { return error_of([&] { read_text(text, "rows.json"); }); };
  EXPECT_THAT(error("\n[{\"text\":\"a\"},").what(), HasSubstr("rows.json:2: the array that begins here is not closed"));
  EXPECT_THAT(error("[{\"text\":\"a\"}]\n]").what(), HasSubstr("rows.json:2: there is text behind the array"));
  EXPECT_EQ(error("[{\"text\":\"a\"},\n]").where().line, 2);
  EXPECT_EQ(error("[{\"text\":\"a\"},\n{\"text\" \"b\"}]").where().line, 2);
  EXPECT_THAT(error("[]").what(), HasSubstr("there are no rows"));
}

TEST(Rows, FilesComeInTheirOrder) {
  const std::string a = write_file("a.jsonl", "{\"text\":\"1\"}\n\n{\"text\":\"2\"}\n");
  const std::string b = write_file("b.json", "[{\"text\":\"3\"}]");
  const RowsRead read = read_rows({b, a}, BadRowPolicy::kError);
  ASSERT_EQ(read.rows.size(), 3u);
  EXPECT_EQ(read.rows[0].text, "3");
  EXPECT_EQ(read.rows[2].text, "2");
  EXPECT_EQ(read.rows[2].file, 1);
  EXPECT_EQ(read.rows[2].line, 3);
}

TEST(Rows, TheFingerprintIsOfTheBytesInOrder) {
  // sha256sum of the same bytes
  EXPECT_EQ(read_text("{\"text\":\"a\"}\n").fingerprint,
            "314d3a971f6f7c623e7dceb546ddde0687e41e9df02b0edc52ddb4a7a77f57e3");
  const std::string a = write_file("a.jsonl", "{\"text\":\"1\"}\n");
  const std::string b = write_file("b.jsonl", "{\"text\":\"2\"}\n");
  EXPECT_NE(read_rows({a, b}, BadRowPolicy::kError).fingerprint, read_rows({b, a}, BadRowPolicy::kError).fingerprint);
}

TEST(Rows, BrokenTextIsAnErrorWithItsLine) {
  EXPECT_THAT(error_of_row("{\"text\":\"\xff\"}").what(), HasSubstr("the text is not UTF-8 (byte 10 of the row)"));
  EXPECT_THAT(error_of_row("{\"text\":\"\xed\xa0\x80\"}").what(), HasSubstr("not UTF-8"));
  (void)error_of_row("{\"text\":\"a\"");
  (void)error_of_row("{\"text\":\"a\"} x");
  (void)error_of_row("{\"text\":\"\\ud800\"}");
  (void)error_of_row("{'text':'a'}");
}

TEST(Rows, MissingFilesAndNoRowsAreErrors) {
  const Error missing = error_of([] { (void)read_rows({"/nowhere/rows.jsonl"}, BadRowPolicy::kSkip); });
  EXPECT_EQ(missing.kind(), ErrorKind::kData);
  EXPECT_THAT(missing.what(), HasSubstr("/nowhere/rows.jsonl"));
  EXPECT_THAT(error_of([] { read_text("\n \n"); }).what(), HasSubstr("there are no rows"));
  EXPECT_THAT(error_of([] { (void)read_rows({write_file("bad.jsonl", "{}\n")}, BadRowPolicy::kSkip); }).what(),
              HasSubstr("bad.jsonl:1: none of the 1 rows is usable"));
}

TEST(Rows, SkippedRowsAreCountedWithTheirReason) {
  const std::string path =
      write_file("rows.jsonl", "{\"text\":\"a\"}\n{broken\n{\"text\":5}\n{\"text\":\"b\xff\"}\n{\"text\":\"c\"}\n");
  const RowsRead read = read_rows({path}, BadRowPolicy::kSkip);
  EXPECT_EQ(read.rows.size(), 2u);
  ASSERT_EQ(read.skipped.size(), 3u);
  EXPECT_EQ(read.skipped[0].line, 2);
  EXPECT_EQ(read.skipped[1].line, 3);
  EXPECT_EQ(read.skipped[1].reason, "'text': must be a string, not number");
  EXPECT_THAT(read.skipped[2].reason, HasSubstr("not UTF-8"));
}

TEST(Rows, DuplicatesAreCountedAcrossFormats) {
  const RowsRead read = read_text(R"({"question":"q","answer":"a"})"
                                  "\n"
                                  R"({"prompt":"q","response":"a","id":3})"
                                  "\n"
                                  R"({"prompt":"q","response":"b"})"
                                  "\n"
                                  R"({"question":"q","answer":"a"})");
  EXPECT_EQ(read.rows.size(), 4u);
  EXPECT_EQ(read.duplicates, 2);
  EXPECT_THAT(read.notes, ElementsAre("keys of the rows that are not used: 'id' (1x)"));
}

TEST(Rows, RowsOfGsm8kAreRead) {
  const std::string folder = std::string(LATHE_SOURCE_DIR) + "/tests/data/gsm8k/";
  const RowsRead read = read_rows({folder + "train.jsonl", folder + "test.jsonl"}, BadRowPolicy::kError);
  EXPECT_EQ(read.rows.size(), 500u);
  EXPECT_EQ(read.duplicates, 0);
  for (const Row& row : read.rows) EXPECT_THAT(row.messages[1].content, HasSubstr("####"));
}

}  // namespace
}  // namespace lathe
