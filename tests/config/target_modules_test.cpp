#include "config/target_modules.h"

#include "config/config_testing.h"

namespace lathe {
namespace {

ModelShape qwen25() {
  ModelShape shape;
  shape.vocab_size = 151936, shape.hidden_size = 896, shape.intermediate_size = 4864, shape.num_layers = 24;
  shape.num_heads = 14, shape.num_kv_heads = 2, shape.head_dim = 64;
  shape.tie_word_embeddings = shape.qkv_bias = true;
  shape.torch_dtype = DType::kBF16;
  return shape;
}

TEST(TargetModules, ExpressionsSelectAsFullMatches) {
  const std::string some = R"(model\.layers\.[01]\.self_attn\.(q|v)_proj)";
  EXPECT_TRUE(is_expression(some));
  EXPECT_FALSE(is_expression("q_proj,self_attn.v_proj"));
  EXPECT_EQ(adapted_modules(qwen25(), some).size(), 4U);
  EXPECT_EQ(adapted_modules(qwen25(), "self_attn.v_proj").size(), 24U);
  EXPECT_EQ(adapted_modules(qwen25(), "proj").size(), 0U);
  EXPECT_THROW((void)adapted_modules(qwen25(), "(q"), Error);
}

}  // namespace
}  // namespace lathe
