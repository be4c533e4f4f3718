#include "train/gpu_settings.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

namespace lathe {
namespace {

std::string refusal(const TrainingArguments& args) {
  try {
    check_gpu_settings(args);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "";
}

constexpr const char* kHint =
    "works on the CPU alone in this version; train on the CPU with use_cpu=true, or change the setting";

TEST(GpuSettings, PlainRunsGoThrough) {
  TrainingArguments args;
  EXPECT_EQ(refusal(args), "");
  args.optim = "adamw_torch_fused";
  args.use_lora = true;
  args.use_qlora = true;
  args.cpu_offload = true;  // without DeepSpeed it says nothing
  EXPECT_EQ(refusal(args), "");
}

TEST(GpuSettings, WhatTheCpuAloneDoesIsRefusedByName) {
  TrainingArguments args;
  args.fp16 = args.strict_precision = true;
  EXPECT_EQ(refusal(args), std::string("'strict_precision': fp16 itself ") + kHint);
  args.strict_precision = false;
  args.optim = "lion_32bit";
  EXPECT_EQ(refusal(args), std::string("'optim': the optimizer 'lion_32bit' ") + kHint);
  args.optim = "adamw_torch";
  args.adam_decays_gradient = true;
  EXPECT_EQ(refusal(args),
            std::string("'optimizer.params.adam_w_mode': Adam with weight decay in the gradient ") + kHint);
  args.adam_decays_gradient = false;
  args.bf16_stochastic_rounding = true;
  EXPECT_EQ(refusal(args),
            std::string("'bf16_stochastic_rounding': training of bf16 weights without a master ") + kHint);
  args.bf16_stochastic_rounding = false;
  args.use_deepspeed = args.cpu_offload = true;
  EXPECT_EQ(refusal(args), std::string("'cpu_offload': offload ") + kHint);
  args.cpu_offload = false;
  args.deepspeed_stage = 3;
  EXPECT_EQ(refusal(args), std::string("'deepspeed_stage': stage 3 with its offload ") + kHint);
  args.deepspeed = R"({"zero_optimization": {"stage": 3}})";
  EXPECT_EQ(refusal(args), "");
}

}  // namespace
}  // namespace lathe
