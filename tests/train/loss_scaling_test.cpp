// What a run does with gradients that are not finite: real ones, made by a loss scale that fp32 cannot hold.
#include <gmock/gmock.h>
#include <lathe/error.h>

#include <algorithm>

#include "train/training_fixture.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

class LossScaling : public TrainingTest {
 protected:
  /// A DeepSpeed fp16 block as a word of the command line.
  static std::string deepspeed(const std::string& block) {
    return R"(deepspeed={"fp16": {"enabled": true, )" + block + "}}";
  }

  std::vector<double> losses(std::vector<std::string> words) const {
    words.emplace_back("overwrite_output_dir=true");
    run(words);
    return logged(json("trainer_state.json"), "loss");
  }

  std::string failure(const std::vector<std::string>& words) const {
    try {
      run(words);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 1);
      return error.what();
    }
  }
};

/// Scales are powers of two, so that scaling changes no digit of a product in bf16.
TEST_F(LossScaling, ChangesNoDigit) {
  const std::vector<double> plain = losses({"fp16=false", "bf16=true"});
  EXPECT_EQ(losses({"fp16=true"}), plain);
  EXPECT_EQ(json("train_results.json")["loss_scale"], 65536);
  EXPECT_EQ(losses({"fp16=true", deepspeed("\"loss_scale\": 1024")}), plain);
  EXPECT_EQ(json("train_results.json")["skipped_steps"], 0);
}

/// From 2^132 down: until the scale fits fp32, steps are left out, and neither the schedule nor Adam counts them.
TEST_F(LossScaling, StepsThatOverflowAreLeftOut) {
  const std::vector<double> plain = losses({"fp16=false", "bf16=true", "lr_scheduler_type=constant"});
  const std::vector<double> scaled =
      losses({"fp16=true", "lr_scheduler_type=constant", "max_steps=24", "num_train_epochs=9",
              deepspeed("\"initial_scale_power\": 132, \"hysteresis\": 1")});
  const Json results = json("train_results.json");
  const auto skipped = results["skipped_steps"].get<size_t>();
  EXPECT_GE(skipped, 2U);
  EXPECT_LE(skipped, 14U);
  EXPECT_EQ(results["loss_scale"].get<double>(), std::ldexp(1.0, 132 - static_cast<int>(skipped)));
  ASSERT_EQ(scaled.size(), 24U);
  EXPECT_EQ(scaled[0], plain[0]);      // forward knows nothing of scales
  EXPECT_LT(scaled.back(), plain[0]);  // and what came after them trained
  const std::vector<double> norms = logged(json("trainer_state.json"), "grad_norm");
  EXPECT_EQ(norms.size(), scaled.size() - skipped);
}

TEST_F(LossScaling, TheScheduleWaitsForTheFirstStepThatIsTaken) {
  losses({"fp16=true", "max_steps=20", "warmup_steps=20", "lr_scheduler_type=linear",
          deepspeed("\"initial_scale_power\": 130, \"hysteresis\": 1")});
  const auto skipped = json("train_results.json")["skipped_steps"].get<size_t>();
  const std::vector<double> rates = logged(json("trainer_state.json"), "learning_rate");
  for (size_t i = 0; i < rates.size(); ++i) {
    EXPECT_NEAR(rates[i], i <= skipped ? 0.0 : 0.01 * static_cast<double>(i - skipped) / 20, 1e-12) << i;
  }
}

TEST_F(LossScaling, ARunThatOnlyOverflowsFails) {
  EXPECT_THAT(failure({"fp16=true", "max_steps=3", deepspeed("\"initial_scale_power\": 140")}),
              HasSubstr("the gradients of each of the run's 3 steps were not finite: nothing was trained"));
  EXPECT_FALSE(exists("adapter_model.safetensors"));
  EXPECT_THAT(
      failure({"fp16=true", deepspeed("\"initial_scale_power\": 140, \"hysteresis\": 1, \"min_loss_scale\": 1e41")}),
      HasSubstr("still overflow at the smallest loss scale"));
}

TEST_F(LossScaling, AResumedRunGoesOnWithTheScaleItHad) {
  const std::vector<std::string> words = {
      "fp16=true", "max_steps=16", "save_total_limit=0",
      deepspeed("\"initial_scale_power\": 131, \"hysteresis\": 2, \"loss_scale_window\": 3")};
  losses(words);
  const std::string whole = bytes("adapter_model.safetensors");
  const Json results = json("train_results.json");
  ASSERT_GT(results["skipped_steps"].get<int64_t>(), 4);  // checkpoint-4 lies among the steps left out
  for (const char* later : {"checkpoint-8", "checkpoint-12", "checkpoint-16"}) std::filesystem::remove_all(out(later));
  std::vector<std::string> resumed = words;
  resumed.push_back("resume_from_checkpoint=" + out("checkpoint-4"));
  run(resumed);
  EXPECT_TRUE(bytes("adapter_model.safetensors") == whole);
  EXPECT_EQ(json("train_results.json")["loss_scale"], results["loss_scale"]);
  EXPECT_EQ(json("train_results.json")["skipped_steps"], results["skipped_steps"]);
}

}  // namespace
}  // namespace lathe
