#pragma once
// Commands run as from the command line, over a small configuration of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "base/file.h"

namespace lathe {

class ConfigCommands : public ::testing::Test {
 protected:
  ConfigCommands() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = ::testing::TempDir() + "config_commands_" + test->name() + "_" + std::to_string(::getpid());
    std::filesystem::create_directories(root_ + "/model");
    atomic_write(root_ + "/model/config.json", R"({"model_type": "qwen2", "vocab_size": 1000, "hidden_size": 64,
      "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2})");
    write_config(R"("per_device_train_batch_size": 2, "max_seq_length": 100)");
  }
  ~ConfigCommands() override { std::filesystem::remove_all(root_); }

  void write_config(const std::string& keys) const {
    atomic_write(root_ + "/run.json", "{\"model_name_or_path\": \"" + root_ + "/model\", \"data_path\": \"" + root_ +
                                          "/rows.jsonl\", \"use_lora\": true, \"lora_r\": 4, \"fp16\": false,\n" +
                                          keys + "}");
  }

  /// Exit code of `lathe WORDS`; what it printed is in out_ and error_.
  int run(std::vector<std::string> words) {
    words.insert(words.begin(), "lathe");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run_command_line(static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    out_ = ::testing::internal::GetCapturedStdout();
    error_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  std::string root_, out_, error_;
};

}  // namespace lathe
