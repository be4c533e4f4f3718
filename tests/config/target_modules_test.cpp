#include "config/target_modules.h"

#include "config/config_testing.h"
#include "config/qwen25.h"

namespace lathe {
namespace {

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
