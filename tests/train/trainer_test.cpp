#include "train/trainer.h"

#include <lathe/error.h>

#include <cmath>
#include <csignal>
#include <sstream>

#include "train/output_folder.h"
#include "train/training_fixture.h"

namespace lathe {
namespace {

using TrainerTest = TrainingTest;

TEST_F(TrainerTest, LearnsAndLogsEveryStep) {
  const TrainOutput output = run();
  EXPECT_EQ(output.global_step, 10);
  EXPECT_EQ(output.stopped_by_signal, 0);
  const Json state = json("trainer_state.json");
  const std::vector<double> losses = logged(state, "loss");
  ASSERT_EQ(losses.size(), 10u);
  EXPECT_LT(losses.back(), losses.front() - 0.05);
  const std::vector<double> rates = logged(state, "learning_rate");
  EXPECT_EQ(rates.front(), 0.01);  // cosine without warm-up begins at the full rate
  EXPECT_NEAR(rates[5], 0.005, 1e-12);
  // 22 rows, batch 2: 11 micro-batches an epoch, 6 updates
  EXPECT_EQ(state["log_history"][0]["epoch"].get<double>(), 2.0 / 11);
  EXPECT_EQ(state["log_history"][5]["epoch"].get<double>(), 1.0);
  EXPECT_EQ(state["global_step"], 10);
  EXPECT_EQ(state["max_steps"], 10);
  double sum = 0;
  for (const double loss : losses) sum += loss;
  EXPECT_NEAR(output.train_loss, sum / 10, 1e-12);
}

TEST_F(TrainerTest, ALoggedLossIsTheMeanOfItsInterval) {
  run();
  const std::vector<double> each = logged(json("trainer_state.json"), "loss");
  std::filesystem::remove_all(out());
  run({"logging_steps=4"});
  const std::vector<double> mean = logged(json("trainer_state.json"), "loss");
  ASSERT_EQ(mean.size(), 2u);
  EXPECT_NEAR(mean[0], (each[0] + each[1] + each[2] + each[3]) / 4, 1e-12);
  EXPECT_NEAR(mean[1], (each[4] + each[5] + each[6] + each[7]) / 4, 1e-12);
}

TEST_F(TrainerTest, HalfTheLearningRateIsAnotherRun) {
  run();
  const std::vector<double> full = logged(json("trainer_state.json"), "loss");
  run({"learning_rate=0.005"});
  const std::vector<double> half = logged(json("trainer_state.json"), "loss");
  EXPECT_EQ(full[0], half[0]);
  EXPECT_NE(full[9], half[9]);
}

TEST_F(TrainerTest, ASignalSavesAndLeaves) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        TrainingRun training(settings(), root_ + "/model", {});
        std::raise(SIGTERM);
        const TrainOutput output = training.train();
        const bool saved = !find_damage(out("checkpoint-1")) && exists("trainer_state.json");
        std::exit(saved && output.global_step == 1 ? 128 + output.stopped_by_signal : 99);
      },
      ::testing::ExitedWithCode(143), "");
}

TEST_F(TrainerTest, SigUsr1SavesAndGoesOn) {
  TrainingRun training(settings({"save_total_limit=0"}), root_ + "/model", {});
  std::raise(SIGUSR1);
  EXPECT_EQ(training.train().global_step, 10);
  EXPECT_TRUE(exists("checkpoint-1"));
  EXPECT_FALSE(exists("checkpoint-2"));
}

TEST_F(TrainerTest, MaxTimeSavesAndLeavesInPeace) {
  const TrainOutput output = run({"max_time=00:00:01"});  // a save has to fit, so one step is all there is time for
  EXPECT_EQ(output.global_step, 1);
  EXPECT_EQ(output.stopped_by_signal, 0);
  EXPECT_TRUE(exists("checkpoint-1"));
}

TEST_F(TrainerTest, WhatIsNotFiniteStopsTheRunAndIsNotSaved) {
  write_model(7, std::nan(""));
  try {
    run();
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 1);
    EXPECT_NE(std::string(error.what()).find("not finite at step 1"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(exists("adapter_model.safetensors"));
  EXPECT_TRUE(list_checkpoints(out()).empty());
}

}  // namespace
}  // namespace lathe
