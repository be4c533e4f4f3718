#pragma once
// A tiny random Qwen2 model with a small tokenizer and a few rows, in a folder of its own.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "config/config_file.h"
#include "model/model_files.h"
#include "train/training_run.h"

namespace lathe {

/// Values of one key of log_history, in order.
inline std::vector<double> logged(const Json& state, const char* key) {
  std::vector<double> values;
  for (const Json& entry : state["log_history"]) {
    if (entry.contains(key)) values.push_back(entry[key].get<double>());
  }
  return values;
}

class TrainingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = ::testing::TempDir() + "training_" + info->name() + "_" + std::to_string(getpid());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ + "/model");
    ::setenv("LATHE_CACHE_DIR", (root_ + "/cache").c_str(), 1);
    const std::string tokenizer = LATHE_SOURCE_DIR "/tests/data/tiny_tokenizer/";
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy_file(tokenizer + name, root_ + "/model/" + name);
    }
    write_model(7);
    write_rows(22);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write_model(uint64_t seed, double scale = 1) const {
    const Json config = {{"model_type", "qwen2"},       {"architectures", {"Qwen2ForCausalLM"}},
                         {"vocab_size", kVocabulary},   {"hidden_size", 32},
                         {"intermediate_size", 64},     {"num_hidden_layers", 2},
                         {"num_attention_heads", 4},    {"num_key_value_heads", 2},
                         {"rms_norm_eps", 1e-6},        {"rope_theta", 10000.0},
                         {"hidden_act", "silu"},        {"max_position_embeddings", 512},
                         {"tie_word_embeddings", true}, {"torch_dtype", "float32"},
                         {"initializer_range", 0.05}};
    const ModelShape shape = parse_model_shape(config, "config.json");
    TensorMap weights = init_model_weights(shape, seed, at::kFloat);
    for (auto& [id, tensor] : weights) tensor = tensor * scale;
    save_model_weights(root_ + "/model", shape, weights);
  }

  void write_rows(int count) const {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += dump_json(Json{
                  {"instruction", "Say number " + std::to_string(i) + std::string(static_cast<size_t>(i % 5), '!')},
                  {"input", ""},
                  {"output", "It is " + std::to_string(i * 7 % 10) + "."}}) +
              "\n";
    }
    atomic_write(root_ + "/rows.jsonl", text);
  }

  /// Settings of a run of ten updates; words override.
  [[nodiscard]] TrainingArguments settings(std::vector<std::string> words = {}) const {
    std::vector<std::string> all = {"model_name_or_path=" + root_ + "/model",
                                    "data_path=" + root_ + "/rows.jsonl",
                                    "output_dir=" + root_ + "/out",
                                    "use_lora=true",
                                    "lora_r=4",
                                    "lora_alpha=8",
                                    "lora_dropout=0",
                                    "fp16=false",
                                    "learning_rate=0.01",
                                    "warmup_steps=0",
                                    "per_device_train_batch_size=2",
                                    "gradient_accumulation_steps=2",
                                    "max_steps=10",
                                    "logging_steps=1",
                                    "save_steps=4",
                                    "eval_strategy=no",
                                    "disable_tqdm=true"};
    all.insert(all.end(), words.begin(), words.end());
    return load_config("", all).args;
  }
  TrainOutput run(const std::vector<std::string>& words = {}) const {
    return run_training(settings(words), root_ + "/model", {});
  }

  [[nodiscard]] std::string out(const std::string& name = "") const {
    return root_ + "/out" + (name.empty() ? "" : "/" + name);
  }
  [[nodiscard]] Json json(const std::string& name) const { return read_json_file(out(name)); }
  [[nodiscard]] std::string bytes(const std::string& name) const { return read_text_file(out(name)); }
  [[nodiscard]] bool exists(const std::string& name) const { return std::filesystem::exists(out(name)); }

  [[nodiscard]] Json json_of_model() const { return read_json_file(root_ + "/model/config.json"); }

  static constexpr int64_t kVocabulary = 640;
  std::string root_;
};

}  // namespace lathe
