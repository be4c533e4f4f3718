#include "engine/loss_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

#include "config/training_arguments.h"

namespace lathe {
namespace {

std::unique_ptr<LossScaler> scaler_of(const Json& one) {
  if (one["kind"] == "torch") return std::make_unique<GradScaler>(one["initial_scale"], one["growth_interval"]);
  DynamicLossScaleOptions options;
  options.initial_scale_power = one["initial_scale_power"];
  options.loss_scale_window = one["loss_scale_window"];
  options.hysteresis = one["hysteresis"];
  options.consecutive_hysteresis = one["consecutive_hysteresis"];
  options.min_loss_scale = one["min_loss_scale"];
  return std::make_unique<DynamicLossScaler>(options);
}

// tests/oracle/loss_scaler.py: deepspeed 0.19.8's own class and torch 2.11.0's kernel, scale for scale; and a scaler
// that is made anew from its state in the middle goes on as if nothing had happened.
TEST(LossScaler, FollowsTheScalesOfDeepSpeedAndTorch) {
  const Json cases = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/loss_scaler.json");
  ASSERT_GE(cases.size(), 10U);
  for (const Json& one : cases) {
    std::unique_ptr<LossScaler> scaler = scaler_of(one);
    for (size_t step = 0; step < one["scales"].size(); ++step) {
      if (step == 37) {
        const Json kept = parse_json(dump_json(scaler->state()), "state");
        scaler = scaler_of(one);
        scaler->load(kept);
      }
      scaler->update(one["overflows"][step]);
      ASSERT_EQ(scaler->scale(), one["scales"][step].get<double>()) << one["kind"] << " at " << step;
    }
    if (one["kind"] == "torch" || one["stopped"].is_null()) continue;
    EXPECT_THROW(scaler->update(one["overflows"][one["stopped"].get<size_t>()]), Error);
  }
}

TEST(LossScaler, AtTheSmallestScaleItGivesUp) {
  DynamicLossScaler scaler({.initial_scale_power = 1, .hysteresis = 1});
  scaler.update(true);
  EXPECT_EQ(scaler.scale(), 1);
  try {
    scaler.update(true);
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 1);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("still overflow at the smallest loss scale"));
  }
}

TrainingArguments fp16_with(const std::string& block) {
  TrainingArguments args;
  args.fp16_in_bf16 = true;
  if (!block.empty()) args.deepspeed_config = R"({"fp16": )" + block + "}";
  return args;
}

TEST(LossScaler, IsChosenByTheSettings) {
  TrainingArguments bf16;
  bf16.fp16 = false;
  bf16.bf16 = true;
  EXPECT_EQ(make_loss_scaler(bf16)->scale(), 1);
  EXPECT_EQ(make_loss_scaler(fp16_with(""))->scale(), 65536);
  EXPECT_EQ(make_loss_scaler(fp16_with(R"({"loss_scale": 0, "initial_scale_power": 20})"))->scale(), 1 << 20);
  const auto fixed = make_loss_scaler(fp16_with(R"({"loss_scale": 128})"));
  fixed->update(true);
  EXPECT_EQ(fixed->scale(), 128);
  for (const char* block :
       {R"({"loss_scale": -1})", R"({"hysteresis": 0})", R"({"loss_scale_window": 1.5})", R"({"min_loss_scale": 0})",
        R"({"initial_scale_power": "x"})", R"({"consecutive_hysteresis": 1})"}) {
    try {
      (void)make_loss_scaler(fp16_with(block));
      ADD_FAILURE() << block;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig) << block;
    }
  }
}

}  // namespace
}  // namespace lathe
