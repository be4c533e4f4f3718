#pragma once
// Small configurations for tests, written to files as a user would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "config/config_file.h"

namespace lathe {

/// Writes text to a file of its own and returns its path.
inline std::string write_config(const std::string& text) {
  static int count = 0;
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string path =
      ::testing::TempDir() + "/" + test->test_suite_name() + "_" + test->name() + std::to_string(count++) + ".json";
  atomic_write(path, text);
  return path;
}

/// {"data_path": "rows.jsonl", BODY}, on lines 1 (brace), 2 (data_path), 3 …
inline std::string config_with(const std::string& body) {
  return write_config("{\n\"data_path\": \"rows.jsonl\",\n" + body + "\n}\n");
}

inline LoadedConfig load_with(const std::string& body, const std::vector<std::string>& overrides = {}) {
  return load_config(config_with(body), overrides);
}

/// The sentence that loading ends with, less the folder of the file; "" when it loads.
inline std::string sentence_of(const std::string& path, const std::vector<std::string>& overrides = {}) {
  try {
    (void)load_config(path, overrides);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2);
    std::string text = error.what();
    if (const size_t at = text.find(path); at != std::string::npos) text.replace(at, path.size(), "FILE");
    return text;
  }
}

inline std::string sentence_with(const std::string& body, const std::vector<std::string>& overrides = {}) {
  return sentence_of(config_with(body), overrides);
}

}  // namespace lathe
