// The vocabulary learnt from text, against the trainer of `tokenizers` (tests/oracle/tokenizer_trainer.py).
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/temporary_folder.h"
#include "data/bpe_trainer.h"

namespace lathe {
namespace {

const std::vector<std::string> kSpecial = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

std::vector<std::string> texts() {
  const std::string data = std::string(LATHE_SOURCE_DIR) + "/tests/data/";
  return {read_text_file(data + "gsm8k/train.jsonl"), read_text_file(data + "tokenizers/document.md")};
}

TEST(TokenizerTrainer, MergesEqualTheLibrarys) {
  const Json oracle = read_json_file(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/tokenizer_trainer.json");
  const TrainedBpe bpe = train_bpe(texts(), oracle.at("vocab_size").get<int64_t>());
  ASSERT_EQ(bpe.merges.size(), oracle.at("merges").size());
  for (size_t i = 0; i < bpe.merges.size(); ++i) {
    EXPECT_EQ(Json::array({bpe.merges[i].first, bpe.merges[i].second}), oracle.at("merges").at(i)) << "merge " << i;
  }
}

TEST(TokenizerTrainer, WritesATokenizer) {
  const TrainedBpe bpe = train_bpe(texts(), 700);
  const TemporaryFolder folder;
  atomic_write(folder / "tokenizer.json", tokenizer_json(bpe, kSpecial));
  atomic_write(folder / "tokenizer_config.json", tokenizer_config_json(bpe, kSpecial));
  const auto tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), 703);
  EXPECT_EQ(tokenizer->token_to_id("<|endoftext|>"), 700);
  EXPECT_EQ(tokenizer->eos_id(), 702);
  EXPECT_EQ(tokenizer->pad_id(), 700);
  EXPECT_TRUE(tokenizer->is_special(701));
  EXPECT_EQ(tokenizer->token_to_id("!"), 0);
  for (const std::string text : {"She sold 48 clips.", "\u4f60\u597d <|im_end|>\n", "\xF0\x9F\x8F\x97"}) {
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
  EXPECT_LT(tokenizer->encode("She sold clips to her friends.").size(), 20U);
}

TEST(TokenizerTrainer, StopsWhenNothingRepeats) {
  const TrainedBpe bpe = train_bpe({"abc abd"}, 1000);
  EXPECT_EQ(bpe.merges, (std::vector<std::pair<std::string, std::string>>{{"a", "b"}}));
  EXPECT_THROW((void)train_bpe({"\xFF"}, 300), Error);
}

}  // namespace
}  // namespace lathe
