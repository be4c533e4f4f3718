#include <algorithm>
#include <cmath>
#include <limits>

#include "train/output_folder.h"
#include "train/training_fixture.h"

namespace lathe {
namespace {

using EvaluateTest = TrainingTest;

TEST_F(EvaluateTest, TheBestCheckpointIsKeptAndLoaded) {
  run({"eval_strategy=steps", "eval_steps=2", "save_steps=2", "save_total_limit=1", "load_best_model_at_end=true",
       "eval_split_ratio=0.2", "learning_rate=0.3", "max_grad_norm=0"});
  const Json state = json("trainer_state.json");
  const std::vector<double> evaluations = logged(state, "eval_loss");
  ASSERT_EQ(evaluations.size(), 5u);
  const auto best = std::min_element(evaluations.begin(), evaluations.end());
  const int64_t step = 2 * (best - evaluations.begin() + 1);
  EXPECT_EQ(state["best_global_step"], step);
  EXPECT_EQ(state["best_metric"].get<double>(), *best);
  const std::string folder = "checkpoint-" + std::to_string(step);
  EXPECT_EQ(state["best_model_checkpoint"], out(folder));
  ASSERT_TRUE(exists(folder));
  EXPECT_TRUE(bytes(folder + "/adapter_model.safetensors") == bytes("adapter_model.safetensors"));
  EXPECT_EQ(list_checkpoints(out()).size(), step == 10 ? 1u : 2u);
}

// transformers' EarlyStoppingCallback, counted over again from what was logged.
TEST_F(EvaluateTest, StopsEarlyWhenNothingIsGained) {
  const std::vector<std::string> words = {
      "eval_strategy=steps", "eval_steps=1",    "save_strategy=best", "eval_split_ratio=0.2",
      "learning_rate=0.3",   "max_grad_norm=0", "max_steps=40",       "load_best_model_at_end=true"};
  for (const char* threshold : {"0", "0.05"}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"early_stopping_patience=3", std::string("early_stopping_threshold=") + threshold});
    const TrainOutput output = run(all);
    const std::vector<double> evaluations = logged(json("trainer_state.json"), "eval_loss");
    double best = evaluations[0];
    int without_gain = 0;
    size_t stop = 0;
    for (size_t i = 1; i < evaluations.size() && stop == 0; ++i) {
      without_gain = evaluations[i] < best && best - evaluations[i] > std::stod(threshold) ? 0 : without_gain + 1;
      best = std::min(best, evaluations[i]);
      if (without_gain == 3) stop = i + 1;
    }
    ASSERT_LT(output.global_step, 40) << "the run has to stop for this test to say something";
    EXPECT_EQ(output.global_step, static_cast<int64_t>(stop));
    EXPECT_EQ(evaluations.size(), stop);
  }
}

TEST_F(EvaluateTest, OnlyTheBestIsSavedWhenAskedTo) {
  run({"eval_strategy=steps", "eval_steps=2", "save_strategy=best", "save_total_limit=0", "eval_split_ratio=0.2",
       "learning_rate=0.3", "max_grad_norm=0"});
  const std::vector<double> evaluations = logged(json("trainer_state.json"), "eval_loss");
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < evaluations.size(); ++i) {
    EXPECT_EQ(exists("checkpoint-" + std::to_string(2 * (i + 1))), evaluations[i] < best) << i;
    best = std::min(best, evaluations[i]);
  }
}

TEST_F(EvaluateTest, TheRateFallsOnAPlateau) {
  run({"eval_strategy=steps", "eval_steps=1", "lr_scheduler_type=reduce_lr_on_plateau", "warmup_steps=0",
       R"(lr_scheduler_kwargs={"patience": 0, "threshold": 10, "threshold_mode": "abs", "factor": 0.5})"});
  // The first evaluation is better than none; no later one is better by 10.
  const std::vector<double> rates = logged(json("trainer_state.json"), "learning_rate");
  ASSERT_EQ(rates.size(), 10U);
  EXPECT_EQ(rates[0], 0.01);
  for (size_t i = 1; i < rates.size(); ++i) EXPECT_DOUBLE_EQ(rates[i], 0.01 * std::pow(0.5, i - 1)) << i;
}

TEST_F(EvaluateTest, WaitsForItsDelay) {
  run({"eval_strategy=steps", "eval_steps=2", "eval_delay=5"});
  EXPECT_EQ(logged(json("trainer_state.json"), "eval_loss").size(), 3U);  // steps 6, 8 and 10
}

// transformers 5.23: the mean of a batch counts once a row, so two batch sizes differ, and one row a batch is the mean
// of the rows' means.
TEST_F(EvaluateTest, BatchMeansAreWeightedByRows) {
  TrainingRun training(settings({"eval_strategy=steps", "eval_steps=100", "per_device_eval_batch_size=3"}),
                       root_ + "/model", {});
  const Dataset& rows = training.train_dataset();
  const auto saved = make_saved_activations();
  double wanted = 0;
  for (size_t first = 0; first < rows.samples.size(); first += 3) {
    std::vector<int64_t> indices;
    for (size_t row = first; row < std::min(first + 3, rows.samples.size()); ++row) {
      indices.push_back(static_cast<int64_t>(row));
    }
    const Batch batch = make_batch(rows, indices);
    const double sum = training.model().forward(batch, training.weights(), nullptr, *saved, 0, true, {});
    wanted += sum / static_cast<double>(batch.num_targets()) * static_cast<double>(indices.size());
  }
  wanted /= static_cast<double>(rows.samples.size());
  std::filesystem::remove_all(out());
  run({"eval_on_start=true", "eval_strategy=steps", "eval_steps=100", "per_device_eval_batch_size=3"});
  const std::vector<double> evaluations = logged(json("trainer_state.json"), "eval_loss");
  ASSERT_EQ(evaluations.size(), 2u);  // before the first step, and at the end
  EXPECT_NEAR(evaluations[0], wanted, 1e-9);
  EXPECT_LT(evaluations[1], evaluations[0]);
}

}  // namespace
}  // namespace lathe
