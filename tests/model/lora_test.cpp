// Adapters against peft: which modules, first values (tests/oracle/lora_files.py).
#include "model/lora.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using testing::Oracle;
using Names = std::vector<std::string>;

const std::string kValues = std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/lora/";

struct InitCase {
  std::string name, model;
  LoraConfig config;
  uint64_t seed;
  at::ScalarType dtype;
};

TEST(LoraTest, FirstValuesEqualPeftsBitForBit) {
  const SafetensorsFile values = SafetensorsFile::open(kValues + "init.safetensors");
  const InitCase cases[] = {
      {"qwen2_fp32_seed42", "qwen2_tied", {.r = 8, .target_modules = Names{"q_proj", "v_proj"}}, 42, at::kFloat},
      {"qwen3_bf16_seed7", "qwen3_tied", {.r = 5, .target_modules = "all-linear"}, 7, at::kBFloat16},
      {"qwen2_regex_seed1",
       "qwen2_untied_yarn",
       {.r = 3, .target_modules = R"(.*layers\.1\.(self_attn\.o_proj|mlp\..*_proj))"},
       1,
       at::kFloat},
  };
  size_t compared = 0;
  for (const InitCase& one : cases) {
    for (const auto& [id, tensor] : init_lora_weights(one.config, Oracle(one.model).shape, one.seed, one.dtype)) {
      if (id.part == Part::kLoraB) {
        EXPECT_EQ(tensor.abs().max().item<float>(), 0);
        continue;
      }
      const at::Tensor theirs = map_tensor(values, values.tensors().at(one.name + "/" + peft_name(id)));
      EXPECT_TRUE(at::equal(tensor, theirs)) << one.name << " " << hf_name(id);
      ++compared;
    }
  }
  EXPECT_EQ(compared, values.tensors().size());
}

TEST(LoraTest, ScaleIsAlphaOverRankOrItsRoot) {
  EXPECT_DOUBLE_EQ((LoraConfig{.r = 16, .alpha = 32}).scale(), 2);
  EXPECT_DOUBLE_EQ((LoraConfig{.r = 16, .alpha = 32, .use_rslora = true}).scale(), 8);
}

TEST(LoraTest, ModulesThatDoNotExistAreNamed) {
  const ModelShape shape = Oracle("qwen2_tied").shape;
  const auto error = [&](std::variant<Names, std::string> target) -> std::string {
    try {
      (void)select_modules({.target_modules = std::move(target)}, shape);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kConfig);
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error(Names{"q_proj", "query"}), HasSubstr("'query' matches no module"));
  EXPECT_THAT(error(Names{"query"}), HasSubstr("gate_proj"));
  EXPECT_THAT(error(std::string(".*query")), HasSubstr("'.*query' matches no module"));
  EXPECT_THAT(error(std::string("(q_proj")), HasSubstr("not a regular expression"));
  EXPECT_THAT(error(Names{"q_proj", "lm_head"}), HasSubstr("lm_head"));
  EXPECT_THAT(error(Names{"proj"}), HasSubstr("'proj' matches no module"));  // whole names only, as in peft
  EXPECT_EQ(error(Names{"self_attn.q_proj", "layers.1.mlp.up_proj"}), "no error");
}

}  // namespace
}  // namespace lathe
