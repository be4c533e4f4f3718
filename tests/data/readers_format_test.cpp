#include "data/readers_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/data_fixtures.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

Row row_of(std::string_view text) {
  KeyCounts unread;
  return row_from_json(parse_json(text, "rows.jsonl"), {"rows.jsonl", 3, {}}, unread);
}

Error error_of_row(std::string_view text) {
  const Error error = error_of([&] { (void)row_of(text); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error.what(), HasSubstr("rows.jsonl:3: "));
  return error;
}

std::vector<std::string> flat(const Row& row) {
  std::vector<std::string> parts;
  for (const Message& message : row.messages) {
    parts.push_back(message.role);
    parts.push_back(message.content);
  }
  return parts;
}

TEST(RowFormat, EveryFormatIsRead) {
  const auto parts = [](std::string_view text) { return flat(row_of(text)); };
  EXPECT_THAT(parts(R"({"instruction":"i","input":"","output":"o"})"), ElementsAre("user", "i", "assistant", "o"));
  EXPECT_THAT(
      parts(
          R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}]})"),
      ElementsAre("system", "s", "user", "u", "assistant", "a"));
  EXPECT_THAT(
      parts(
          R"({"conversations":[{"from":"system","value":"s"},{"from":"human","value":"h"},{"from":"gpt","value":"g"},{"from":"user","value":"u"},{"from":"assistant","value":"a"}]})"),
      ElementsAre("system", "s", "user", "h", "assistant", "g", "user", "u", "assistant", "a"));
  EXPECT_THAT(parts(R"({"prompt":"p","response":"r"})"), ElementsAre("user", "p", "assistant", "r"));
  EXPECT_THAT(parts(R"({"prompt":"p","completion":"c"})"), ElementsAre("user", "p", "assistant", "c"));
  EXPECT_THAT(parts(R"({"question":"q","answer":"a"})"), ElementsAre("user", "q", "assistant", "a"));
  const Row text = row_of(R"({"text":"t"})");
  EXPECT_TRUE(text.messages.empty());
  EXPECT_EQ(text.text, "t");
}

TEST(RowFormat, TheFirstWholeFormatCounts) {
  EXPECT_THAT(flat(row_of(R"({"text":"t","instruction":"i","output":"o"})")),
              ElementsAre("user", "i", "assistant", "o"));
  EXPECT_THAT(flat(row_of(R"({"instruction":"i","question":"q","answer":"a"})")),
              ElementsAre("user", "q", "assistant", "a"));
}

TEST(RowFormat, KeysThatAreNotReadAreCounted) {
  KeyCounts unread;
  const Json json = parse_json(
      R"({"id":1,"conversations":[{"from":"human","value":"h","time":0},{"from":"gpt","value":"g","time":1}]})", "f");
  (void)row_from_json(json, {}, unread);
  EXPECT_EQ(unread, (KeyCounts{{"id", 1}, {"conversations[].time", 2}}));
}

TEST(RowFormat, TheInputFollowsABlankLineUnlessItIsBlank) {
  const auto prompt = [](std::string_view text) { return row_of(text).messages[0].content; };
  EXPECT_EQ(prompt(R"({"instruction":"i","input":" x\n","output":"o"})"), "i\n\n x\n");
  EXPECT_EQ(prompt(R"({"instruction":"i","input":null,"output":"o"})"), "i");
  EXPECT_EQ(prompt(R"({"instruction":"i","input":" \t\u3000\u001c\n","output":"o"})"), "i");
  EXPECT_EQ(prompt(R"({"instruction":"i","output":"o"})"), "i");
}

TEST(RowFormat, WrongFieldsAreNamedWithFileAndLine) {
  EXPECT_THAT(error_of_row(R"({"instruction":"i","input":"x"})").what(), HasSubstr("field 'output' is missing"));
  EXPECT_THAT(error_of_row(R"({"input":"x","output":"y"})").what(), HasSubstr("field 'instruction' is missing"));
  EXPECT_THAT(error_of_row(R"({"instruction":"i","input":3,"output":"y"})").what(),
              HasSubstr("'input': must be a string, not number"));
  EXPECT_THAT(error_of_row(R"({"instruction":"i","input":"","output":4})").what(),
              HasSubstr("'output': must be a string, not number"));
  EXPECT_THAT(error_of_row(R"({"prompt":"i","response":null})").what(),
              HasSubstr("'response': must be a string, not null"));
  EXPECT_THAT(error_of_row(R"({"prompt":"i"})").what(), HasSubstr("field 'response' is missing"));
  EXPECT_THAT(error_of_row(R"({"text":["a"]})").what(), HasSubstr("'text': must be a string, not array"));
  EXPECT_THAT(error_of_row(R"({"text":""})").what(), HasSubstr("'text': is empty"));
}

TEST(RowFormat, RowsOfNoFormatListTheAcceptedOnes) {
  const Error error = error_of_row(R"({"src":"a","dst":"b"})");
  EXPECT_THAT(error.what(), HasSubstr("of no known format (its keys: 'src', 'dst')"));
  for (const char* key : {"instruction", "messages", "conversations", "prompt", "completion", "question", "text"}) {
    EXPECT_THAT(error.hint(), HasSubstr(std::string("\"") + key + "\""));
  }
  EXPECT_THAT(error_of_row("[1]").what(), HasSubstr("a row must be an object, not array"));
  EXPECT_THAT(error_of_row("7").what(), HasSubstr("a row must be an object, not number"));
}

TEST(RowFormat, BadConversationsAreErrors) {
  const auto messages = [](const std::string& list) { return R"({"messages":)" + list + "}"; };
  EXPECT_THAT(error_of_row(messages("[]")).what(), HasSubstr("'messages': the list of turns is empty"));
  EXPECT_THAT(error_of_row(messages("\"a\"")).what(), HasSubstr("must be a list of turns, not string"));
  EXPECT_THAT(error_of_row(messages(R"([{"role":"user","content":"u"}])")).what(),
              HasSubstr("the last turn is the user's: there is no answer to train on"));
  EXPECT_THAT(error_of_row(messages(R"([{"role":"assistant","content":"a"},{"role":"user","content":"u"}])")).what(),
              HasSubstr("the last turn is the user's"));
  EXPECT_THAT(error_of_row(messages(R"([{"role":"user","content":"u"},{"role":"tool","content":"t"}])")).what(),
              HasSubstr("'messages[1].role': turns of tools ('tool') cannot be trained on"));
  EXPECT_THAT(error_of_row(messages(R"([{"role":"critic","content":"t"}])")).what(),
              HasSubstr("'messages[0].role': 'critic' is not a known role"));
  EXPECT_THAT(error_of_row(messages(R"([{"role":"user","content":[{"type":"text"}]}])")).what(),
              HasSubstr("'messages[0].content': must be a string, not array"));
  EXPECT_THAT(error_of_row(messages(R"(["hello"])")).what(), HasSubstr("'messages[0]': a turn must be an object"));
  EXPECT_THAT(error_of_row(messages(R"([{"role":"assistant","content":"","tool_calls":[{"id":1}]}])")).what(),
              HasSubstr("'messages[0].tool_calls': rows with tools"));
  EXPECT_THAT(error_of_row(R"({"messages":[{"role":"assistant","content":"a"}],"tools":[{"a":1}]})").what(),
              HasSubstr("'tools': rows with tools"));
  EXPECT_THAT(error_of_row(R"({"conversations":[{"from":"function_call","value":"a"}]})").what(),
              HasSubstr("'conversations[0].from': turns of tools"));
}

}  // namespace
}  // namespace lathe
