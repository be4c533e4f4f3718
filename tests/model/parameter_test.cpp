// Names on disk: those of transformers' and peft's own files, there and back.
#include "model/parameter.h"

#include <gtest/gtest.h>

#include "base/safetensors.h"

namespace lathe {
namespace {

TEST(ParameterTest, NamesOfTransformersFilesReadAndWriteEqual) {
  const std::string values = std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/";
  for (const char* model : {"qwen2_tied", "qwen2_untied_yarn", "qwen3_tied", "qwen3_untied_bias"}) {
    const SafetensorsFile file = SafetensorsFile::open(values + "model/" + model + "/model.safetensors");
    for (const auto& [name, entry] : file.tensors()) {
      const auto id = parse_hf_name(name);
      ASSERT_TRUE(id.has_value()) << name;
      EXPECT_EQ(hf_name(*id), name);
    }
  }
  const SafetensorsFile adapter = SafetensorsFile::open(values + "lora/adapter/adapter_model.safetensors");
  for (const auto& [name, entry] : adapter.tensors()) {
    const auto id = parse_hf_name(name);
    ASSERT_TRUE(id.has_value()) << name;
    EXPECT_EQ(peft_name(*id), name);
  }
}

TEST(ParameterTest, OtherNamesAreNoNames) {
  for (const char* name :
       {"", "model.layers.x.mlp.up_proj.weight", "model.layers.1.mlp.up_proj", "lm_head.weights",
        "model.layers.01.mlp.up_proj.weight", "model.layers.-1.mlp.up_proj.weight", "model.layers.1.lm_head.weight",
        "mlp.up_proj.weight", "model.layers.99999999999.mlp.up_proj.weight", "visual.blocks.0.attn.qkv.weight",
        "model.layers."}) {
    EXPECT_FALSE(parse_hf_name(name).has_value()) << name;
  }
}

TEST(ParameterTest, ModulesAreNamedAsTransformersNamesThem) {
  EXPECT_EQ(module_name({BlockId::decoder(12), Site::kDown, Part::kLoraA}), "model.layers.12.mlp.down_proj");
  EXPECT_EQ(projection_name(Site::kGate), "gate_proj");
  EXPECT_EQ(projection_name(Site::kInputNorm), "");
}

}  // namespace
}  // namespace lathe
