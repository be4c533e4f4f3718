// What a tokenizer.json may not be, and how that is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/temporary_folder.h"
#include "data/tokenizer_file.h"
#include "lathe/tokenizer.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

Json small() {
  return read_json_file(std::string(LATHE_SOURCE_DIR) + "/tests/data/tokenizers/small_nfc/tokenizer.json");
}

/// The message that loading this tokenizer.json ends in.
std::string refusal(const std::string& text) {
  const TemporaryFolder folder;
  atomic_write(folder / "tokenizer.json", text);
  try {
    (void)Tokenizer::load(folder.path());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("tokenizer.json"));
    return error.what();
  }
  return "accepted";
}

std::string refusal_at(const std::string& pointer, const Json& value) {
  Json json = small();
  json[Json::json_pointer(pointer)] = value;
  return refusal(json.dump());
}

TEST(TokenizerErrors, RefusesOtherKindsByName) {
  EXPECT_EQ(refusal(small().dump()), "accepted");
  EXPECT_THAT(refusal_at("/model/type", "Unigram"), HasSubstr("'model.type': \"Unigram\""));
  EXPECT_THAT(refusal_at("/model/byte_fallback", true), HasSubstr("model.byte_fallback"));
  EXPECT_THAT(refusal_at("/model/ignore_merges", true), HasSubstr("model.ignore_merges"));
  EXPECT_THAT(refusal_at("/model/dropout", 0.1), HasSubstr("model.dropout"));
  EXPECT_THAT(refusal_at("/normalizer", {{"type", "NFKC"}}), HasSubstr("NFKC"));
  EXPECT_THAT(refusal_at("/pre_tokenizer", {{"type", "Whitespace"}}), HasSubstr("Whitespace"));
  EXPECT_THAT(refusal_at("/pre_tokenizer/add_prefix_space", true), HasSubstr("add_prefix_space"));
  EXPECT_THAT(refusal_at("/decoder", {{"type", "WordPiece"}}), HasSubstr("WordPiece"));
  EXPECT_THAT(refusal_at("/post_processor", {{"type", "TemplateProcessing"}}), HasSubstr("TemplateProcessing"));
  EXPECT_THAT(refusal_at("/added_tokens/0/lstrip", true), HasSubstr("added_tokens[0].lstrip"));
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", "\\w+"}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const Json sequence = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}};
  EXPECT_THAT(refusal_at("/pre_tokenizer", sequence), HasSubstr("\\w+"));
}

TEST(TokenizerErrors, NamesWhatIsBroken) {
  const std::string text = small().dump();
  EXPECT_THAT(refusal(text.substr(0, text.size() / 2)), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("is not an object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("model"));
  EXPECT_THAT(refusal_at("/model/merges/0", Json::array({"qq", "zz"})), HasSubstr("'qq'"));
  EXPECT_THAT(refusal_at("/model/merges/0", "a b c"), HasSubstr("'a b c'"));
  EXPECT_THAT(refusal_at("/added_tokens/0/id", 7), HasSubstr("belongs to another token"));
  EXPECT_THAT(refusal_at("/added_tokens/0/id", 2000000000), HasSubstr("out of all proportion"));
  Json json = small();
  json["model"]["vocab"].erase("!");
  EXPECT_THAT(refusal(json.dump()), HasSubstr("0x21"));
}

TEST(TokenizerErrors, MissingFolder) {
  try {
    (void)Tokenizer::load("/nonexistent");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no tokenizer.json"));
  }
}

}  // namespace
}  // namespace lathe
