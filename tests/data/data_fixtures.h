#pragma once
// Rows, tokenizers and caught errors for the tests of src/data.
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <lathe/tokenizer.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "data/dataset_sample.h"
#include "data/row.h"

namespace lathe::testing {

inline Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  throw std::runtime_error("no error was thrown");
}

/// A file in a folder of the running test's own.
inline std::string write_file(const std::string& name, std::string_view text) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  static const TemporaryFolder root;  // of this process: tests run beside one another
  const std::string folder = root / (std::string(test->test_suite_name()) + "_" + test->name());
  std::filesystem::create_directories(folder);
  atomic_write(folder + "/" + name, text);
  return folder + "/" + name;
}

/// One of tests/data/tokenizers, loaded once.
inline const Tokenizer& tokenizer_of(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Tokenizer>> loaded;
  auto& tokenizer = loaded[name];
  if (!tokenizer) tokenizer = Tokenizer::load(std::string(LATHE_SOURCE_DIR) + "/tests/data/tokenizers/" + name);
  return *tokenizer;
}

inline const Tokenizer& qwen() {
  return tokenizer_of("qwen2_5");
}

inline Row conversation(std::vector<Message> messages) {
  Row row;
  row.messages = std::move(messages);
  return row;
}

inline Row question(const std::string& prompt, const std::string& answer) {
  return conversation({{"user", prompt}, {"assistant", answer}});
}

/// As read from lines 1, 2, … of rows.jsonl.
inline RowsRead rows_of(std::vector<Row> rows) {
  RowsRead read;
  read.files = {"rows.jsonl"};
  int64_t line = 0;
  for (Row& row : rows) row.line = ++line;
  read.rows = std::move(rows);
  return read;
}

inline EncodedRow copy_of(const Sample& sample) {
  EncodedRow row;
  row.input_ids.assign(sample.input_ids.begin(), sample.input_ids.end());
  row.labels.assign(sample.labels.begin(), sample.labels.end());
  row.file = sample.file;
  row.line = sample.line;
  return row;
}

inline bool same(const Sample& a, const Sample& b) {
  return std::ranges::equal(a.input_ids, b.input_ids) && std::ranges::equal(a.labels, b.labels) && a.file == b.file &&
         a.line == b.line;
}

/// 400 rows of GSM8K.
inline RowsRead gsm8k() {
  return read_rows({std::string(LATHE_SOURCE_DIR) + "/tests/data/gsm8k/train.jsonl"}, BadRowPolicy::kError);
}

}  // namespace lathe::testing
