#include "train/starting_adapter.h"

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <filesystem>

namespace lathe {
namespace {

using Names = std::vector<std::string>;
using ::testing::HasSubstr;

ModelShape small_shape() {
  ModelShape shape;
  shape.vocab_size = 50, shape.hidden_size = 16, shape.intermediate_size = 32, shape.num_layers = 2;
  shape.num_heads = 2, shape.num_kv_heads = 1, shape.head_dim = 8;
  return shape;
}

std::string refusal(const TrainingArguments& args) {
  try {
    (void)starting_adapter(args, small_shape());
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2);
    return error.what();
  }
}

TEST(StartingAdapter, IsThereWhereOneTrains) {
  TrainingArguments args;
  EXPECT_FALSE(starting_adapter(args, small_shape()).has_value());
  args.use_lora = true;
  const std::optional<StartingAdapter> adapter = starting_adapter(args, small_shape());
  ASSERT_TRUE(adapter.has_value());
  EXPECT_EQ(adapter->config.r, args.lora_r);
  EXPECT_TRUE(adapter->weights.empty());
}

TEST(StartingAdapter, RefusesModulesThatTheModelHasNot) {
  TrainingArguments args;
  args.use_lora = true;
  args.lora_target_modules = "qq_proj";
  EXPECT_THAT(refusal(args), HasSubstr("'qq_proj' matches no module of the model"));
  args.lora_target_modules = "q_proj";
  args.modules_to_save = {"not_there"};
  EXPECT_THAT(refusal(args), HasSubstr("not_there"));
  args.modules_to_save.clear();
  args.adapter_name_or_path = "not-there";
  EXPECT_THAT(refusal(args), HasSubstr("not-there/adapter_config.json"));
}

TEST(StartingAdapter, AGivenOnesSettingsCount) {
  const std::string folder = ::testing::TempDir() + "starting_adapter_" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  LoraConfig config;
  config.r = 4, config.use_dora = true, config.target_modules = Names{"k_proj", "v_proj"};
  save_adapter(folder, config, small_shape(), init_lora_weights(config, small_shape(), 1, at::kFloat));
  TrainingArguments args;
  args.adapter_name_or_path = folder;
  const std::optional<StartingAdapter> adapter = starting_adapter(args, small_shape());
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(adapter.has_value());
  EXPECT_FALSE(adapter->weights.empty());
  take_settings(args, adapter->config);
  EXPECT_EQ(args.lora_r, 4);
  EXPECT_TRUE(args.use_dora);
  EXPECT_EQ(args.lora_target_modules, "k_proj,v_proj");
}

}  // namespace
}  // namespace lathe
