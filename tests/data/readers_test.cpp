#include "data/readers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include "data/data_fixtures.h"

namespace lathe {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using Pieces = std::vector<std::pair<int64_t, std::string>>;

Pieces pieces(std::string_view text, const std::string& file) {
  Pieces found;
  for (const RawRow& row : split_rows(text, file)) found.emplace_back(row.line, row.text);
  return found;
}

TEST(SplitRows, BlankLinesByteOrderMarkAndCarriageReturnsArePassedOver) {
  EXPECT_EQ(pieces("\xEF\xBB\xBF\r\n{1}\r\n  \t\r\n\n {2}", "a.jsonl"), (Pieces{{2, "{1}"}, {5, "{2}"}}));
  EXPECT_TRUE(pieces("", "a.jsonl").empty());
  EXPECT_TRUE(pieces("\n \n", "a.json").empty());
}

TEST(SplitRows, ArraysAreCutAtTheirOwnCommas) {
  EXPECT_EQ(pieces("[\n {\"a\": \"],\\\"{\"},\n\n {\"b\":\n [1, 2]} ,3\n]\n", "a.json"),
            (Pieces{{2, "{\"a\": \"],\\\"{\"}"}, {4, "{\"b\":\n [1, 2]}"}, {5, "3"}}));
  EXPECT_TRUE(pieces("\xEF\xBB\xBF [ ]", "a.json").empty());
}

TEST(SplitRows, TheNameAndTheFirstCharacterTellArraysFromLines) {
  EXPECT_EQ(pieces("[1,\n2]", "a.json"), (Pieces{{1, "1"}, {2, "2"}}));
  EXPECT_EQ(pieces("[1,\n2]", "a.jsonl"), (Pieces{{1, "[1,"}, {2, "2]"}}));
  EXPECT_EQ(pieces("{1}\n{2}", "a.json"), (Pieces{{1, "{1}"}, {2, "{2}"}}));
}

TEST(SplitRows, AnEmptyElementIsLeftForTheParserToRefuse) {
  EXPECT_EQ(pieces("[1,\n]", "a.json"), (Pieces{{1, "1"}, {2, ""}}));
}

TEST(SplitRows, BrokenArraysAreErrors) {
  const auto error = [](std::string_view text) { return error_of([&] { (void)pieces(text, "a.json"); }); };
  EXPECT_THAT(error("\n[1,").what(), HasSubstr("a.json:2: the array that begins here is not closed"));
  EXPECT_THAT(error("[\"a]").what(), HasSubstr("not closed"));
  EXPECT_THAT(error("[1]\n]").what(), HasSubstr("a.json:2: there is text behind the array"));
}

}  // namespace
}  // namespace lathe
