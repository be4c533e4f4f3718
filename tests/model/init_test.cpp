// First weights of a model against transformers' from_config (tests/oracle/lora_files.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/fixtures.h"
#include "model/model_files.h"

namespace lathe {
namespace {

using testing::Oracle;

// Bit for bit what from_config draws after set_seed(11) (tests/oracle/lora_files.py).
TEST(ModelInitTest, FirstWeightsEqualTransformers) {
  const SafetensorsFile values =
      SafetensorsFile::open(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/lora/model_init.safetensors");
  size_t compared = 0;
  for (const char* name : {"qwen2_tied", "qwen3_untied_bias"}) {
    const Oracle oracle(name);
    for (const bool narrow : {false, true}) {
      const std::string prefix = std::string(name) + (narrow ? "_bfloat16/" : "_float32/");
      for (const auto& [id, tensor] : init_model_weights(oracle.shape, 11, narrow ? at::kBFloat16 : at::kFloat)) {
        const at::Tensor theirs = map_tensor(values, values.tensors().at(prefix + hf_name(id)));
        const at::Tensor flat = tensor.flatten();
        const at::Tensor ours = flat.narrow(0, std::max<int64_t>(0, flat.size(0) - 40), theirs.size(0)).to(at::kFloat);
        EXPECT_TRUE(at::equal(ours, theirs)) << prefix << hf_name(id);
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, values.tensors().size());
}

}  // namespace
}  // namespace lathe
