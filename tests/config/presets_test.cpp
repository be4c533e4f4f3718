// Every preset is read by the code that a run reads it with, and holds what the toolkit's documentation gives.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string preset(const std::string& name) {
  return LATHE_SOURCE_DIR "/configs/train_config_" + name + ".json";
}

TEST(Presets, EveryFileIsRead) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LATHE_SOURCE_DIR "/configs")) {
    const std::string path = entry.path().string();
    if (entry.path().filename().string().find("train_config_") != 0) continue;
    ++files;
    EXPECT_NO_THROW((void)load_config(path, {})) << path;
    EXPECT_THAT(validate_config(path), ::testing::IsEmpty()) << path;
  }
  EXPECT_EQ(files, 11U);
}

struct Expected {
  const char* name;
  int64_t batch, accumulation, r, length;
  double alpha, learning_rate;
};

TEST(Presets, HoldTheDocumentedValues) {
  const std::vector<Expected> table = {{"lora", 4, 4, 64, 2048, 16, 1e-4},
                                       {"qlora", 8, 2, 64, 2048, 16, 2e-4},
                                       {"qlora_8bit", 6, 3, 32, 2048, 64, 1e-4},
                                       {"deepspeed", 4, 4, 64, 2048, 16, 1e-4},
                                       {"deepspeed_stage2_offload", 3, 6, 48, 1792, 16, 1e-4},
                                       {"deepspeed_stage3", 2, 8, 32, 1536, 16, 1e-4},
                                       {"deepspeed_minimal", 1, 16, 16, 1024, 8, 8e-5},
                                       {"simple", 4, 4, 64, 2048, 16, 1e-4}};
  for (const Expected& expected : table) {
    const TrainingArguments args = load_config(preset(expected.name), {}).args;
    EXPECT_EQ(args.per_device_train_batch_size, expected.batch) << expected.name;
    EXPECT_EQ(args.per_device_eval_batch_size, expected.batch) << expected.name;
    EXPECT_EQ(args.gradient_accumulation_steps, expected.accumulation) << expected.name;
    EXPECT_EQ(args.lora_r, expected.r) << expected.name;
    EXPECT_EQ(args.lora_alpha, expected.alpha) << expected.name;
    EXPECT_EQ(args.max_seq_length, expected.length) << expected.name;
    EXPECT_EQ(args.learning_rate, expected.learning_rate) << expected.name;
    EXPECT_EQ(args.num_train_epochs, 3) << expected.name;
    EXPECT_EQ(args.output_dir, std::string("./output_qwen_") + expected.name) << expected.name;
    EXPECT_EQ(args.cache_dir, "./models") << expected.name;
  }
}

TEST(Presets, FullAndBf16TrainEveryWeight) {
  const TrainingArguments full = load_config(preset("full"), {}).args;
  EXPECT_FALSE(full.use_lora);
  EXPECT_EQ(full.learning_rate, 2e-5);
  EXPECT_EQ(full.eval_strategy, "steps");
  EXPECT_TRUE(full.load_best_model_at_end);
  const LoadedConfig bf16 = load_config(preset("bf16"), {});
  EXPECT_TRUE(bf16.args.bf16);
  EXPECT_EQ(bf16.args.eval_strategy, "steps");  // spelled evaluation_strategy alone
  EXPECT_THAT(bf16.args.eval_data_path, ::testing::IsEmpty());
  EXPECT_THAT(bf16.args.report_to, ::testing::IsEmpty());
  EXPECT_THAT(bf16.notes, ::testing::Contains(HasSubstr("evaluation runs on the training rows themselves")));
}

TEST(Presets, CommaListsLoseTheirBlanks) {
  EXPECT_THAT(load_config(preset("deepspeed"), {}).args.data_path,
              ElementsAre("data/zhc_store_recommend_doubao.jsonl", "data/zhc_store_recommend_reason_doubao.jsonl"));
}

}  // namespace
}  // namespace lathe
