#pragma once
// The program as a user runs it: a child process, its exit code and all it says.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace lathe {

struct ProgramRun {
  int exit_code = -1;
  std::string output;  ///< standard output and standard error together
};

/// @param directory working folder.  @param words as a shell reads them.  @param variables "NAME=value …".
inline ProgramRun run_lathe(const std::string& directory, const std::string& words, const std::string& variables = "") {
  const std::string command = "cd '" + directory + "' && HF_HUB_OFFLINE=1 HF_HOME=./hf LATHE_CACHE_DIR=./cache OMP_NUM_THREADS=1 " + variables +
                              " '" LATHE_PROGRAM "' " + words + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start " + command);
  ProgramRun run;
  std::array<char, 4096> buffer{};
  for (size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    run.output.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A working folder with a tiny model "model", rows "rows.jsonl" and a LoRA config "train.json".
class ProgramTest : public ::testing::Test {
 protected:
  using Json = nlohmann::ordered_json;

  ProgramTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = ::testing::TempDir() + "lathe_" + info->test_suite_name() + "_" + info->name() + "_" +
              std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
    std::string rows;
    for (int i = 0; i < 8; ++i) {
      rows += R"({"instruction":"Say number )" + std::to_string(i) + R"(","input":"","output":"It is )" +
              std::to_string(i * 7) + "\"}\n";
    }
    write_text(path("rows.jsonl"), rows);
    write_settings(Json::object());
    make_model("model", model_config());
  }
  ~ProgramTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }

  static Json model_config() {
    return {{"architectures", {"Qwen2ForCausalLM"}},
            {"model_type", "qwen2"},
            {"vocab_size", kVocabulary},
            {"hidden_size", 16},
            {"intermediate_size", 24},
            {"num_hidden_layers", 2},
            {"num_attention_heads", 2},
            {"num_key_value_heads", 1},
            {"max_position_embeddings", 256},
            {"rms_norm_eps", 1e-6},
            {"rope_theta", 10000.0},
            {"tie_word_embeddings", true},
            {"eos_token_id", 0}};
  }

  void make_model(const std::string& name, const Json& config) const {
    write_text(path(name + ".json"), config.dump(1));
    const ProgramRun made =
        run_lathe(folder_, "init --config " + name +
                               ".json --tokenizer '" LATHE_SOURCE_DIR "/tests/data/tiny_tokenizer' -o " + name);
    ASSERT_EQ(made.exit_code, 0) << made.output;
  }

  /// One key a line, so that a message's line number can be told: the braces are lines 1 and last.
  void write_settings(const Json& changes) const {
    Json settings = {{"model_name_or_path", "model"},
                     {"data_path", "rows.jsonl"},
                     {"output_dir", "out"},
                     {"use_lora", true},
                     {"lora_r", 2},
                     {"lora_alpha", 4},
                     {"lora_dropout", 0.0},
                     {"max_seq_length", 64},
                     {"per_device_train_batch_size", 2},
                     {"gradient_accumulation_steps", 1},
                     {"learning_rate", 0.01},
                     {"num_train_epochs", 1},
                     {"warmup_steps", 0},
                     {"logging_steps", 1},
                     {"save_steps", 2},
                     {"fp16", false}};
    settings.update(changes);
    write_text(path("train.json"), settings.dump(1) + "\n");
  }

  [[nodiscard]] ProgramRun train(const Json& changes = Json::object()) const {
    write_settings(changes);
    return run_lathe(folder_, "train -c train.json");
  }

  static constexpr int kVocabulary = 640;
  std::string folder_;
};

}  // namespace lathe
