#include "train/run_length.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <array>

namespace lathe {
namespace {

Dataset rows(int64_t count) {
  Dataset dataset;
  static constexpr std::array<int32_t, 2> kTokens{1, 2};
  dataset.samples.resize(static_cast<size_t>(count), Sample{kTokens, kTokens, 0, 0});
  return dataset;
}

TrainLoader loader_of(const Dataset& dataset, int64_t batch, int64_t accumulation) {
  return {dataset,
          {.batch_size = batch,
           .gradient_accumulation_steps = accumulation,
           .seed = 1,
           .shuffle = true,
           .drop_last = false}};
}

// log_history of transformers 5.23 for 70 rows, batch 4, accumulation 4: five updates an epoch.
TEST(RunLength, EpochsAreThoseOfTransformers) {
  const Dataset dataset = rows(70);
  const TrainLoader loader = loader_of(dataset, 4, 4);
  ASSERT_EQ(loader.updates_per_epoch(), 5);
  const double wanted[] = {4.0 / 18, 8.0 / 18, 12.0 / 18, 16.0 / 18, 1.0, 1 + 4.0 / 18};
  for (int64_t step = 1; step <= 6; ++step) EXPECT_EQ(epoch_after(step, loader, 4), wanted[step - 1]) << step;
}

TEST(RunLength, StepsAreRoundedUp) {
  TrainingArguments args;
  args.num_train_epochs = 2.5;
  args.max_steps = -1;
  EXPECT_EQ(run_length(args, 5, 70).max_steps, 13);
  EXPECT_EQ(run_length(args, 5, 70).num_train_epochs, 3);
  args.max_steps = 11;
  EXPECT_EQ(run_length(args, 5, 70).max_steps, 11);
  EXPECT_EQ(run_length(args, 5, 70).num_train_epochs, 3);
}

TEST(RunLength, WarmUpBySteps_ByShare_ByRatio) {
  TrainingArguments args;
  args.warmup_steps = 7;
  args.warmup_ratio = 0.5;
  EXPECT_EQ(warmup_steps(args, 50), 7);
  args.warmup_steps = 0.05;
  EXPECT_EQ(warmup_steps(args, 50), 3);
  args.warmup_steps = 0;
  EXPECT_EQ(warmup_steps(args, 51), 26);
}

TEST(RunLength, WhatIsDueAfterAStep) {
  TrainingArguments args;
  args.logging_steps = 3;
  args.logging_first_step = true;
  args.eval_strategy = "steps";
  args.eval_steps = 4;
  args.save_strategy = "epoch";
  args.max_steps = 10;
  TrainerState state = initial_state(args, run_length(args, 5, 70));
  std::string seen;
  for (state.global_step = 1; state.global_step <= 10; ++state.global_step) {
    const Control control = control_after_step(args, state, state.global_step % 5 == 0);
    seen += control.log ? 'l' : '-';
    seen += control.evaluate ? 'e' : '-';
    seen += control.save ? 's' : '-';
    seen += ' ';
  }
  EXPECT_EQ(seen, "l-- --- l-- -e- --s l-- --- -e- l-- -es ");
}

TEST(RunLength, CountsTheSavesThatAreCertain) {
  TrainingArguments args;
  args.max_steps = 100;
  args.save_steps = 30;
  const RunLength length = run_length(args, 50, 400);
  EXPECT_EQ(count_saves(args, length).certain, 4);  // 30, 60, 90 and the end
  args.save_steps = 50;
  EXPECT_EQ(count_saves(args, length).certain, 2);
  args.save_strategy = "epoch";
  EXPECT_EQ(count_saves(args, length).certain, 2);
  args.save_strategy = "no";
  EXPECT_EQ(count_saves(args, length).certain, 0);
  args.save_strategy = "best";
  args.eval_strategy = "steps";
  args.eval_steps = 30;
  EXPECT_EQ(count_saves(args, length).certain, 1);
  EXPECT_EQ(count_saves(args, length).possible, 4);
  args.eval_strategy = "epoch";
  EXPECT_EQ(count_saves(args, length).possible, 2);
}

TEST(RunLength, SaysWhatWillNeverAct) {
  TrainingArguments args;
  args.max_steps = 27;
  args.warmup_steps = 100;
  args.save_steps = 500;
  args.eval_strategy = "steps";
  args.eval_steps = 500;
  const RunLength length = run_length(args, 9, 147);
  const auto sentences = idle_settings(args, initial_state(args, length), length);
  ASSERT_EQ(sentences.size(), 3u);
  EXPECT_NE(sentences[0].find("warm-up (100 steps) is longer than the run (27 steps)"), std::string::npos);
  args.warmup_steps = 2;
  args.save_steps = 9;
  args.eval_steps = 9;
  EXPECT_TRUE(idle_settings(args, initial_state(args, length), run_length(args, 9, 147)).empty());
}

TEST(RunLength, MaxTimeIsHoursMinutesSeconds) {
  EXPECT_EQ(parse_max_time("01:02:03"), 3723);
  EXPECT_EQ(parse_max_time("48:00:00"), 172800);
  for (const char* wrong : {"", "12", "1:2", "1:2:3:4", "a:b:c", "01:02:03 "}) {
    EXPECT_THROW((void)parse_max_time(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace lathe
