// lathe tokenize: the ids of a file's lines or rows, one JSON array a line.
#include <fmt/core.h>
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>

#include "app/commands/commands.h"
#include "base/file.h"
#include "data/dataset_sample.h"

namespace lathe {
namespace {

struct Words {
  std::string model, file;
  std::optional<std::string> template_name;
};

void print_ids(const std::vector<int32_t>& ids) {
  std::string line = "[";
  for (const int32_t id : ids) line += (line.size() > 1 ? ", " : "") + std::to_string(id);
  line += "]\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

bool holds_rows(const std::string& file) {
  return file.ends_with(".jsonl") || file.ends_with(".json");
}

void tokenize_rows(const Words& words, const Tokenizer& tokenizer) {
  const RowsRead rows = read_rows({words.file}, BadRowPolicy::kError);
  EncodeOptions options;
  options.template_kind = choose_template(words.template_name.value_or("toolkit"), tokenizer.chat_template());
  options.max_seq_length = INT64_MAX;
  for (const Row& row : rows.rows) print_ids(encode_row(row, words.file, tokenizer, options).input_ids);
}

void tokenize_lines(const Words& words, const Tokenizer& tokenizer) {
  const std::string text = read_text_file(words.file);
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    ++number;
    std::string_view line = std::string_view(text).substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    try {
      print_ids(tokenizer.encode(line));
    } catch (const Error& error) {
      throw Error(error.kind(), error.message(), {words.file, number, ""}, error.hint());
    }
    at = end + 1;
  }
}

int run(const Words& words) {
  const auto tokenizer = Tokenizer::load(words.model);
  if (holds_rows(words.file)) {
    tokenize_rows(words, *tokenizer);
  } else if (words.template_name) {
    throw Error(ErrorKind::kConfig, "a template needs rows", {words.file, 0, "--template"},
                "give a .jsonl file, or leave --template out to encode each line as it stands");
  } else {
    tokenize_lines(words, *tokenizer);
  }
  return 0;
}

}  // namespace

Command tokenize_command() {
  return {"tokenize", "Print the token ids of a file, one JSON array a line",
          [](CommandOptions& options) -> std::function<int()> {
            auto words = std::make_shared<Words>();
            options.required("-m,--model", words->model, "folder with tokenizer.json");
            options.option("--template", words->template_name, "for rows: toolkit (the default) or chat");
            options.required("FILE", words->file, "text (a line each) or rows (.jsonl, .json)");
            return [words] { return run(*words); };
          }};
}

}  // namespace lathe
