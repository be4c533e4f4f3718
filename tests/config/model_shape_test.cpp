#include "config/model_shape.h"

#include <functional>
#include <nlohmann/json.hpp>

#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json oracle() {
  return read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/config_keys.json");
}

/// Qwen2.5-0.5B-Instruct's config.json as published: transformers 4 spelling.
Json qwen25() {
  return Json::parse(R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
    "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 14,
    "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.43.1", "use_cache": true,
    "use_sliding_window": false, "vocab_size": 151936})");
}

/// Qwen3-0.6B's, whose heads are wider than hidden_size / num_attention_heads.
Json qwen3() {
  return Json::parse(
      R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": [151645, 151643], "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
    "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
    "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
    "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "use_sliding_window": false, "vocab_size": 151936})");
}

std::string sentence(Json config, const std::function<void(Json&)>& change) {
  change(config);
  try {
    (void)parse_model_shape(config, "config.json");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return error.what();
  }
}

TEST(ModelShape, ReadsThePublishedQwen25) {
  const ModelShape shape = parse_model_shape(qwen25(), "config.json");
  EXPECT_EQ(shape.family, ModelFamily::kQwen2);
  EXPECT_EQ(shape.num_parameters(), 494'032'768);  // as published
  EXPECT_EQ(shape.head_dim, 64);
  EXPECT_EQ(shape.rope_theta, 1e6);
  EXPECT_TRUE(shape.qkv_bias && shape.tie_word_embeddings);
  EXPECT_FALSE(shape.o_bias || shape.qk_norm || shape.yarn);
  EXPECT_EQ(shape.torch_dtype, DType::kBF16);
  EXPECT_EQ(shape.bos_token_id, 151643);
  EXPECT_THAT(shape.eos_token_ids, ElementsAre(151645));
  EXPECT_EQ(shape.source, qwen25());
}

TEST(ModelShape, ReadsThePublishedQwen3) {
  const ModelShape shape = parse_model_shape(qwen3(), "config.json");
  EXPECT_EQ(shape.family, ModelFamily::kQwen3);
  EXPECT_EQ(shape.num_parameters(), 596'049'920);  // as published
  EXPECT_TRUE(shape.qk_norm);
  EXPECT_FALSE(shape.qkv_bias || shape.o_bias);
  EXPECT_THAT(shape.eos_token_ids, ElementsAre(151645, 151643));
}

TEST(ModelShape, AgreesWithTransformers) {
  const Json values = oracle();
  for (const auto& [name, expected] : values["models"].items()) {
    const ModelShape shape = parse_model_shape(expected["config"], name);
    EXPECT_EQ(shape.num_parameters(), expected["num_parameters"].get<int64_t>()) << name;
    EXPECT_EQ(shape.head_dim, expected["head_dim"].get<int64_t>()) << name;
    EXPECT_EQ(shape.rope_theta, expected["rope_theta"].get<double>()) << name;
    EXPECT_EQ(shape.qkv_bias, expected["qkv_bias"].get<bool>()) << name;
    EXPECT_EQ(shape.o_bias, expected["o_bias"].get<bool>()) << name;
    EXPECT_EQ(shape.qk_norm, expected["qk_norm"].get<bool>()) << name;
    EXPECT_EQ(shape.yarn.has_value(), name == "qwen2_yarn") << name;
  }
}

TEST(ModelShape, ReadsYarnInBothSpellings) {
  Json four = qwen25(), five = qwen25();
  four["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}};
  five.erase("rope_theta");
  five.erase("torch_dtype");
  five["dtype"] = "float16";
  five["rope_parameters"] = {{"rope_type", "yarn"},    {"factor", 4.0},   {"original_max_position_embeddings", 32768},
                             {"rope_theta", 1e6},      {"beta_fast", 16}, {"truncate", false},
                             {"attention_factor", 1.5}};
  const ModelShape a = parse_model_shape(four, "a"), b = parse_model_shape(five, "b");
  ASSERT_TRUE(a.yarn && b.yarn);
  EXPECT_EQ(a.yarn->factor, 4);
  EXPECT_EQ(a.yarn->original_max_position_embeddings, 32768);
  EXPECT_EQ(a.yarn->beta_fast, 32);
  EXPECT_TRUE(a.yarn->truncate);
  EXPECT_EQ(a.rope_theta, 1e6);
  EXPECT_EQ(b.rope_theta, 1e6);
  EXPECT_EQ(b.yarn->beta_fast, 16);
  EXPECT_EQ(b.yarn->attention_factor, 1.5);
  EXPECT_FALSE(b.yarn->truncate);
  EXPECT_EQ(b.torch_dtype, DType::kF16);
}

TEST(ModelShape, DefaultsAreTransformers) {
  const Json least = Json::parse(R"({"model_type": "qwen3", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16,
    "num_hidden_layers": 1, "num_attention_heads": 2})");
  const ModelShape shape = parse_model_shape(least, "c");
  EXPECT_EQ(shape.head_dim, 128);
  EXPECT_EQ(shape.num_kv_heads, 2);
  EXPECT_EQ(shape.rope_theta, 10000);
  EXPECT_EQ(shape.rms_norm_eps, 1e-6);
  EXPECT_FALSE(shape.tie_word_embeddings);
  EXPECT_EQ(shape.torch_dtype, DType::kF32);
  EXPECT_TRUE(shape.eos_token_ids.empty());
}

TEST(ModelShape, KeysThatAreMissingOrWrong) {
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c.erase("vocab_size"); }), "config.json: 'vocab_size': is missing");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["hidden_size"] = "896"; }),
            "config.json: 'hidden_size': expected a whole number, found \"896\"");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["hidden_size"] = -4; }),
            "config.json: 'hidden_size': -4 is not a possible size");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["rms_norm_eps"] = 0; }),
            "config.json: 'rms_norm_eps': 0 is not above 0");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["rope_theta"] = "x"; }),
            "config.json: 'rope_theta': expected a number, found \"x\"");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["tie_word_embeddings"] = 1; }),
            "config.json: 'tie_word_embeddings': expected true or false, found 1");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["hidden_act"] = 1; }),
            "config.json: 'hidden_act': expected text, found 1");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["eos_token_id"] = "x"; }),
            "config.json: 'eos_token_id': expected a whole number or a list of them, found \"x\"");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["layer_types"] = 1; }),
            "config.json: 'layer_types': expected a list, found 1");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["rope_scaling"] = 1; }),
            "config.json: 'rope_scaling': expected an object, found 1");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c = Json::array(); }), "config.json: is not a JSON object");
}

TEST(ModelShape, SizesThatDoNotFitTogether) {
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["num_key_value_heads"] = 3; }),
            "config.json: 'num_key_value_heads': 14 query heads cannot be shared out among 3 key heads");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["hidden_size"] = 900; }),
            "config.json: 'hidden_size': 900 is not a multiple of num_attention_heads 14");
  EXPECT_EQ(sentence(qwen3(), [](Json& c) { c["head_dim"] = 127; }),
            "config.json: 'head_dim': 127 is odd: rotary positions need pairs");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["layer_types"] = {"full_attention"}; }),
            "config.json: 'layer_types': has 1 entries for 24 layers");
}

TEST(ModelShape, OtherModelsAreRefusedByName) {
  const std::string supported = "; supported are qwen2 (Qwen2, Qwen2.5) and qwen3 (dense)";
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["model_type"] = "llama"; }),
            "config.json: 'model_type': \"llama\" is not supported" + supported);
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c.erase("model_type"); }),
            "config.json: 'model_type': is missing" + supported);
  EXPECT_EQ(
      sentence(qwen25(), [](Json& c) { c["model_type"] = "qwen3_moe"; }),
      "config.json: 'model_type': \"qwen3_moe\" is a mixture-of-experts model, which is not part of this version" +
          supported);
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["model_type"] = "qwen2_5_vl"; }),
            "config.json: 'model_type': \"qwen2_5_vl\" is a vision or audio model, which is not part of this version" +
                supported);
  for (const char* method : {"gptq", "awq"}) {
    EXPECT_THAT(sentence(qwen25(),
                         [&](Json& c) {
                           c["quantization_config"] = {{"quant_method", method}};
                         }),
                HasSubstr(std::string(method) == "gptq"
                              ? "the weights are GPTQ, which is not supported; use the folder of the model's "
                                "original bf16 weights"
                              : "the weights are AWQ, which is not supported"));
  }
}

TEST(ModelShape, FeaturesThatAreNotThere) {
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["use_sliding_window"] = true; }),
            "config.json: 'use_sliding_window': sliding-window attention is not supported; full attention is the one "
            "kind of attention "
            "here");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["use_sliding_window"] = true, c["max_window_layers"] = 24; }),
            "");  // no layer has one
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["layer_types"] = std::vector<std::string>(24, "sliding_attention"); }),
            "config.json: 'layer_types': \"sliding_attention\" is not supported; full attention is the one kind of "
            "attention here");
  EXPECT_EQ(sentence(qwen25(),
                     [](Json& c) {
                       c["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
                     }),
            "config.json: 'rope_scaling.rope_type': \"linear\" is not supported; supported are default and yarn");
  EXPECT_EQ(sentence(qwen25(),
                     [](Json& c) {
                       c["rope_parameters"] = {{"partial_rotary_factor", 0.5}};
                     }),
            "config.json: 'rope_parameters.partial_rotary_factor': a part of each head cannot be left unrotated");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["hidden_act"] = "gelu"; }),
            "config.json: 'hidden_act': \"gelu\" is not supported; supported is silu");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["attention_dropout"] = 0.1; }),
            "config.json: 'attention_dropout': dropout inside attention is not supported; set it to 0");
  EXPECT_EQ(sentence(qwen25(), [](Json& c) { c["torch_dtype"] = "int8"; }),
            "config.json: 'torch_dtype': \"int8\" is not supported; supported are float32, float16 and bfloat16");
}

TEST(ModelShape, FolderWithoutConfig) {
  const std::string folder = ::testing::TempDir() + "/no-model-here";
  try {
    (void)read_model_shape(folder);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              folder +
                  ": there is no config.json in the model folder; a model folder holds config.json, "
                  "tokenizer.json and *.safetensors");
  }
}

}  // namespace
}  // namespace lathe
