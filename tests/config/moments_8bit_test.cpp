#include "config/moments_8bit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lathe {
namespace {

ModelShape shape_of(const Json& sizes, const Json& one) {
  ModelShape shape;
  shape.vocab_size = sizes["vocab_size"], shape.hidden_size = sizes["hidden_size"];
  shape.intermediate_size = sizes["intermediate_size"], shape.num_layers = sizes["num_hidden_layers"];
  shape.num_heads = sizes["num_attention_heads"], shape.num_kv_heads = sizes["num_key_value_heads"];
  shape.head_dim = sizes["head_dim"];
  shape.tie_word_embeddings = one["tied"];
  shape.qkv_bias = one["kind"] == "qwen2";
  shape.qk_norm = one["kind"] == "qwen3";
  return shape;
}

// tests/oracle/optimizer_8bit.py: the bytes that bitsandbytes holds under transformers' Trainer.
TEST(Moments8bit, TakeWhatTheyTakeUnderTheTrainer) {
  const Json oracle = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/optimizer_8bit.json")["trainer"];
  for (const Json& one : oracle["cases"]) {
    TrainingArguments args;
    args.lora_r = one["lora_r"];
    args.use_lora = args.lora_r > 0;
    EXPECT_EQ(2 * moment_8bit_bytes(shape_of(oracle["shape"], one), args), one["bytes"].get<int64_t>()) << one;
  }
}

}  // namespace
}  // namespace lathe
