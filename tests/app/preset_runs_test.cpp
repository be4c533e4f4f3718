// Every preset as `-t NAME` trains 20 steps on a tiny model: it runs, learns, and leaves what it says.
#include <gmock/gmock.h>

#include "app/run_lathe.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

struct PresetCase {
  const char* name;
  int stage;  ///< of deepspeed_config.json; 0: none is written
  bool adapter;
};

class PresetRuns : public ProgramTest {
 protected:
  [[nodiscard]] ProgramRun train_preset(const std::string& name) const {
    return run_lathe(folder_, "train -t " + name +
                                  " model_name_or_path=model cache_dir=null data_path=rows.jsonl "
                                  "eval_data_path=rows.jsonl output_dir=out_" +
                                  name + " max_steps=20 warmup_steps=2 logging_steps=5 learning_rate=0.01");
  }
};

TEST_F(PresetRuns, EachTrainsTwentySteps) {
  for (const PresetCase& preset :
       {PresetCase{"full", 0, false}, PresetCase{"lora", 0, true}, PresetCase{"simple", 0, true},
        PresetCase{"deepspeed", 2, true}, PresetCase{"stage2_offload", 2, true}, PresetCase{"stage3", 3, true},
        PresetCase{"minimal", 3, true}, PresetCase{"bf16", 2, false}}) {
    SCOPED_TRACE(preset.name);
    const ProgramRun run = train_preset(preset.name);
    ASSERT_EQ(run.exit_code, 0) << run.output;
    const std::string out = std::string("out_") + preset.name + "/";
    EXPECT_TRUE(exists(out + (preset.adapter ? "adapter_model.safetensors" : "model.safetensors")));
    const Json state = Json::parse(read_text(path(out + "trainer_state.json")));
    EXPECT_EQ(state.at("global_step"), 20);
    std::vector<double> losses;
    for (const Json& entry : state.at("log_history")) {
      if (entry.contains("loss")) losses.push_back(entry.at("loss").get<double>());
    }
    ASSERT_EQ(losses.size(), 4U);
    EXPECT_LT(losses.back(), losses.front());
    EXPECT_EQ(exists(out + "deepspeed_config.json"), preset.stage > 0);
    if (preset.stage == 0) continue;
    const Json deepspeed = Json::parse(read_text(path(out + "deepspeed_config.json")));
    EXPECT_EQ(deepspeed.at("zero_optimization").at("stage"), preset.stage);
    EXPECT_THAT(run.output, HasSubstr("on one rank partitions nothing"));
  }
}

/// Settings that DeepSpeed and the trainer both have are the same run, to the byte.
TEST_F(PresetRuns, DeepSpeedOnOneRankIsTheRunWithoutIt) {
  ASSERT_EQ(train_preset("stage3").exit_code, 0);
  const ProgramRun without = run_lathe(folder_,
                                       "train -t stage3 use_deepspeed=false model_name_or_path=model cache_dir=null "
                                       "data_path=rows.jsonl eval_data_path=rows.jsonl output_dir=plain max_steps=20 "
                                       "warmup_steps=2 logging_steps=5 learning_rate=0.01");
  ASSERT_EQ(without.exit_code, 0) << without.output;
  EXPECT_TRUE(read_text(path("plain/adapter_model.safetensors")) ==
              read_text(path("out_stage3/adapter_model.safetensors")));
}

}  // namespace
}  // namespace lathe
