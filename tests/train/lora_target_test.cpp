#include "train/lora_target.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

using Names = std::vector<std::string>;

LoraConfig with_target(std::optional<std::string> target) {
  TrainingArguments args;
  args.lora_target_modules = std::move(target);
  return lora_config(args, "base");
}

TEST(LoraTarget, NamesExpressionsAndAllLinear) {
  EXPECT_EQ(std::get<Names>(with_target("q_proj, v_proj").target_modules), (Names{"q_proj", "v_proj"}));
  EXPECT_EQ(std::get<Names>(with_target("o_proj").target_modules), (Names{"o_proj"}));
  EXPECT_EQ(std::get<std::string>(with_target(".*layers\\.[01]\\..*(q|v)_proj").target_modules),
            ".*layers\\.[01]\\..*(q|v)_proj");
  for (const std::optional<std::string>& all :
       {std::optional<std::string>("all"), std::optional<std::string>("all-linear"), std::optional<std::string>()}) {
    EXPECT_EQ(std::get<std::string>(with_target(all).target_modules), "all-linear");
  }
}

TEST(LoraTarget, TakesTheAdaptersNumbers) {
  TrainingArguments args;
  args.lora_r = 16;
  args.lora_alpha = 32;
  args.use_rslora = true;
  args.modules_to_save = {"norm", "lm_head"};
  const LoraConfig config = lora_config(args, "base");
  EXPECT_EQ(config.scale(), 8.0);  // 32 / sqrt(16)
  EXPECT_EQ(config.base_model_name_or_path, "base");
  EXPECT_EQ(config.modules_to_save.names, (Names{"norm", "lm_head"}));
  EXPECT_FALSE(config.modules_to_save.ensure_weight_tying);
}

}  // namespace
}  // namespace lathe
