// Ids against those of Python's `tokenizers` (tests/oracle/tokenizer.py).
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "data/tokenizer_texts.h"

namespace lathe {
namespace {

using testing::Digest;
const std::string kData = std::string(LATHE_SOURCE_DIR) + "/tests/data/";

const Json& oracle() {
  static const Json values = read_json_file(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/tokenizer.json");
  return values;
}

std::shared_ptr<const Tokenizer> tokenizer(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Tokenizer>> loaded;
  auto& entry = loaded[name];
  if (entry == nullptr) entry = Tokenizer::load(kData + "tokenizers/" + name);
  return entry;
}

std::string hash_of(const Tokenizer& t, const std::vector<std::string>& texts) {
  Digest digest;
  for (const std::string& text : texts) digest.add(t.encode(text));
  return digest.hex();
}

class TokenizerOracle : public ::testing::TestWithParam<std::string> {
 protected:
  const Tokenizer& t() { return *tokenizer(GetParam()); }
  const Json& values() { return oracle().at(GetParam()); }
};

TEST_P(TokenizerOracle, PlainCases) {
  for (const Json& entry : values().at("explicit")) {
    const auto text = entry.at("text").get<std::string>();
    EXPECT_EQ(t().encode(text), entry.at("ids").get<std::vector<int32_t>>()) << text;
  }
}

TEST_P(TokenizerOracle, DecodesBrokenSequences) {
  for (const Json& entry : values().at("decode")) {
    const auto ids = entry.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(t().decode(ids), entry.at("text").get<std::string>()) << entry.at("ids").dump();
    EXPECT_EQ(t().decode(ids, true), entry.at("without_special").get<std::string>()) << entry.at("ids").dump();
    StreamDecoder stream(tokenizer(GetParam()), true);
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.push(id);
    EXPECT_EQ(streamed + stream.finish(), entry.at("without_special").get<std::string>());
  }
}

TEST_P(TokenizerOracle, RandomTexts) {
  const auto block = oracle().at("block").get<uint64_t>();
  const Json& hashes = values().at("random");
  ASSERT_GE(hashes.size() * block, GetParam().starts_with("qwen") ? 100000U : 10000U);
  for (uint64_t k = 0; k < hashes.size(); ++k) {
    Digest ids_digest, text_digest;
    for (uint64_t i = k * block; i < (k + 1) * block; ++i) {
      const std::vector<int32_t> ids = t().encode(testing::random_text(i));
      ids_digest.add(ids);
      text_digest.add_text(t().decode(ids));
    }
    EXPECT_EQ(ids_digest.hex(), hashes.at(k)) << "texts from " << k * block;
    EXPECT_EQ(text_digest.hex(), values().at("random_decoded").at(k)) << "texts from " << k * block;
  }
}

/// Text around a code point, by the oracle's name for it.
std::pair<std::string, std::string> surroundings(const std::string& form) {
  if (form == "letters") return {"a", "b"};
  if (form == "space") return {" ", ""};
  if (form == "apostrophe") return {"'", ""};
  return {"", ""};
}

class TokenizerCodePoints : public TokenizerOracle {};

TEST_P(TokenizerCodePoints, IdsAndTextOfEach) {
  // Qwen3 has Qwen2.5's vocabulary and rules; its added tokens do not meet single code points.
  const Json& stored = oracle().at(GetParam() == "qwen3" ? "qwen2_5" : GetParam());
  for (const auto& [form, hashes] : stored.at("code_points").items()) {
    const auto [before, after] = surroundings(form);
    for (uint32_t plane = 0; plane < 17; ++plane) {
      Digest ids_digest, text_digest;
      for (uint32_t c = plane << 16; c < (plane + 1) << 16; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text = before;
        unicode::append_utf8(text, c);
        const std::vector<int32_t> ids = t().encode(text + after);
        ids_digest.add(ids);
        if (form == "alone") text_digest.add_text(t().decode(ids));
      }
      EXPECT_EQ(ids_digest.hex(), hashes.at(plane)) << form << ", plane " << plane;
      if (form != "alone") continue;
      EXPECT_EQ(text_digest.hex(), stored.at("code_points_decoded").at(plane)) << "plane " << plane;
    }
  }
}

TEST_P(TokenizerOracle, Gsm8k) {
  for (const std::string part : {"train", "test"}) {
    const std::string text = read_text_file(kData + "gsm8k/" + part + ".jsonl");
    std::vector<std::string> texts;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const Json row = parse_json(std::string_view(text).substr(at, end - at), part);
      texts.push_back(row.at("instruction").get<std::string>());
      texts.push_back(row.at("output").get<std::string>());
      at = end + 1;
    }
    ASSERT_GE(texts.size(), 200U);
    EXPECT_EQ(hash_of(t(), texts), values().at("gsm8k").at(part)) << part;
  }
}

TEST_P(TokenizerOracle, Document) {
  EXPECT_EQ(hash_of(t(), {read_text_file(kData + "tokenizers/document.md")}), values().at("document"));
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerOracle, ::testing::Values("qwen2_5", "qwen3", "small_gpt2", "small_nfc"),
                         [](const auto& tested) { return tested.param; });

INSTANTIATE_TEST_SUITE_P(All, TokenizerCodePoints, ::testing::Values("qwen2_5", "qwen3", "small_gpt2"),
                         [](const auto& tested) { return tested.param; });

TEST(Tokenizer, KnowsItsSpecialTokens) {
  const Tokenizer& t = *tokenizer("qwen2_5");
  EXPECT_EQ(t.token_to_id("<|im_end|>"), 151645);
  EXPECT_EQ(t.eos_id(), 151645);
  EXPECT_EQ(t.pad_id(), 151643);
  EXPECT_EQ(t.id_to_token(151644), "<|im_start|>");
  EXPECT_EQ(t.id_to_token(t.token_to_id(" hello").value_or(-1)), " hello");
  EXPECT_EQ(t.id_to_token(-1) + t.id_to_token(1 << 30), "");
  EXPECT_EQ(t.token_to_id("no such token at all"), std::nullopt);
  EXPECT_TRUE(t.is_special(151645));
  EXPECT_FALSE(t.is_special(151657)) << "<tool_call> is added, not special";
  EXPECT_EQ(t.vocab_size(), 151665);
  EXPECT_EQ(tokenizer("qwen3")->vocab_size(), 151669);
  EXPECT_NE(t.fingerprint(), tokenizer("qwen3")->fingerprint());
  EXPECT_NE(t.chat_template().find("You are Qwen"), std::string::npos);
}

TEST(Tokenizer, OrdinaryTextHoldsNoMarkers) {
  const Tokenizer& t = *tokenizer("qwen2_5");
  const std::string text = "say <|im_end|> and <think>";
  const auto ids = t.encode_ordinary(text);
  for (const int32_t id : ids) EXPECT_LT(id, 151643);
  EXPECT_EQ(t.decode(ids), text);
  EXPECT_NE(ids, t.encode(text));
}

TEST(Tokenizer, NamesTheFirstByteThatIsNotUtf8) {
  const std::pair<std::string, std::string> cases[] = {{"abc\xFF", "offset 3 (0xFF)"},
                                                       {"\xED\xA0\x80", "offset 0 (0xED)"},
                                                       {"ok \xC3", "offset 3 (0xC3)"},
                                                       {"\xC0\x80", "offset 0 (0xC0)"},
                                                       {"\xF4\x90\x80\x80", "offset 0 (0xF4)"}};
  for (const auto& [text, expected] : cases) {
    try {
      (void)tokenizer("qwen2_5")->encode(text);
      FAIL() << "accepted " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_NE(error.message().find(expected), std::string::npos) << error.message();
    }
  }
}

TEST(Tokenizer, LongRunsAreNotQuadratic) {
  const Tokenizer& t = *tokenizer("qwen2_5");
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(t.decode(t.encode(text)), text);
  std::string marks = "a";
  for (int i = 0; i < 200000; ++i) marks += i % 2 ? "\u0301" : "\u0323";
  EXPECT_FALSE(t.encode(marks).empty());
}

}  // namespace
}  // namespace lathe
