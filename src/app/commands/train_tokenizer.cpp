// lathe train-tokenizer: a byte-level BPE tokenizer learnt from text files.
#include <fmt/core.h>
#include <lathe/error.h>

#include <algorithm>
#include <memory>

#include "app/commands/commands.h"
#include "base/file.h"
#include "base/log.h"
#include "data/bpe_trainer.h"

namespace lathe {
namespace {

struct Words {
  int64_t vocab_size = 8192;
  std::vector<std::string> special = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  std::vector<std::string> files;
  std::string output;
};

int run(const Words& words) {
  std::vector<std::string> special;
  for (const std::string& token : words.special) {
    if (token.empty()) throw Error(ErrorKind::kConfig, "a special token is empty", {"", 0, "--special"});
    if (std::find(special.begin(), special.end(), token) == special.end()) special.push_back(token);
  }
  const auto num_special = static_cast<int64_t>(special.size());
  if (words.vocab_size < 256 + num_special || words.vocab_size > 10'000'000) {
    throw Error(ErrorKind::kConfig, fmt::format("{} is no size for a vocabulary", words.vocab_size),
                {"", 0, "--vocab-size"},
                fmt::format("it holds 256 bytes and {} special tokens before anything is learnt", num_special));
  }
  std::vector<std::string> texts;
  for (const std::string& file : words.files) texts.push_back(read_text_file(file));
  ensure_writable_directory(words.output, "--output");
  const TrainedBpe bpe = train_bpe(texts, words.vocab_size - num_special);
  const int64_t size = static_cast<int64_t>(bpe.tokens.size()) + num_special;
  if (size < words.vocab_size) {
    log::warning("the text has pairs for {} tokens only, not for {}: no other pair occurs twice", size,
                 words.vocab_size);
  }
  atomic_write(words.output + "/tokenizer.json", tokenizer_json(bpe, special));
  atomic_write(words.output + "/tokenizer_config.json", tokenizer_config_json(bpe, special));
  fmt::print("{}/tokenizer.json: {} tokens, {} merges, {} special\n", words.output, size, bpe.merges.size(),
             num_special);
  return 0;
}

}  // namespace

Command train_tokenizer_command() {
  return {"train-tokenizer", "Learn a byte-level BPE tokenizer from text files",
          [](CommandOptions& options) -> std::function<int()> {
            auto words = std::make_shared<Words>();
            options.required("-o,--output", words->output, "folder for tokenizer.json and tokenizer_config.json");
            options.option("--vocab-size", words->vocab_size, "tokens in all, special ones included");
            options.option("--special", words->special, "special tokens, in the order of their ids");
            options.required("FILE", words->files, "UTF-8 text");
            return [words] { return run(*words); };
          }};
}

}  // namespace lathe
