#include "train/trainer.h"

#include <lathe/error.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/memory_ledger.h"
#include "base/signals.h"
#include "base/write_calls.h"
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

// In epoch 0 a pack that holds every row has them in the order in which one batch of all rows has them.
TEST_F(TrainerTest, APackLearnsWhatABatchOfTheSameRowsLearns) {
  write_rows(8);
  const std::vector<std::string> common = {"gradient_accumulation_steps=1", "max_steps=4"};
  const auto losses_of = [&](std::vector<std::string> words) {
    words.insert(words.end(), common.begin(), common.end());
    run(words);
    const Json state = json("trainer_state.json");
    std::vector<double> values = logged(state, "loss"), norms = logged(state, "grad_norm");
    values.insert(values.end(), norms.begin(), norms.end());
    return values;
  };
  const std::vector<double> packed = losses_of({"packing=true", "max_seq_length=512", "per_device_train_batch_size=1"});
  EXPECT_EQ(json("train_results.json")["train_samples"], 8);
  EXPECT_EQ(json("trainer_state.json")["epoch"], 4);
  const std::vector<double> whole = losses_of({"per_device_train_batch_size=8"});
  const std::vector<double> half = losses_of({"per_device_train_batch_size=4"});
  ASSERT_EQ(packed.size(), 8u);
  EXPECT_EQ(packed[0], whole[0]);
  EXPECT_EQ(packed[4], whole[4]);
  for (size_t i = 0; i < packed.size(); ++i) EXPECT_NEAR(packed[i], whole[i], 1e-5 * whole[i]) << i;
  EXPECT_GT(std::abs(packed[0] - half[0]), 1e-3 * whole[0]);
}

TEST_F(TrainerTest, PacksAreTheBatchesOfTheRunAndOfItsPlan) {
  run({"packing=true", "max_seq_length=64", "max_steps=-1", "num_train_epochs=2"});
  const Json results = json("train_results.json"), state = json("trainer_state.json");
  EXPECT_EQ(state["epoch"], 2);
  EXPECT_EQ(results["tokens_seen"], 2 * results["data"]["tokens"].get<int64_t>());
  EXPECT_EQ(results["tokens_trained"], 2 * results["data"]["trained_tokens"].get<int64_t>());
  EXPECT_LE(results["peak_memory_bytes"]["cpu"]["activations"], results["planned_memory_bytes"]["cpu"]["activations"]);
  // Two packs of 64 tokens a micro-batch, two of those an update.
  const int64_t least = (results["data"]["tokens"].get<int64_t>() + 255) / 256;
  EXPECT_GE(state["global_step"].get<int64_t>(), 2 * least);
  EXPECT_LT(state["global_step"].get<int64_t>(), 2 * 6);  // rows alone would take six updates an epoch
}

TEST_F(TrainerTest, ThreadsThatMakeBatchesChangeNothingNorDoesAResume) {
  const std::vector<std::string> packed = {"packing=true", "max_seq_length=48", "per_device_train_batch_size=1"};
  const auto run_with = [&](std::vector<std::string> words) {
    words.insert(words.end(), packed.begin(), packed.end());
    run(words);
    return bytes("adapter_model.safetensors");
  };
  const std::string wanted = run_with({"dataloader_num_workers=0"});
  EXPECT_NE(json("trainer_state.json")["epoch"].get<double>(),
            std::floor(json("trainer_state.json")["epoch"].get<double>()));
  EXPECT_TRUE(run_with({"dataloader_num_workers=3"}) == wanted);
  for (const char* name : {"checkpoint-8", "checkpoint-10"}) std::filesystem::remove_all(out(name));
  std::filesystem::remove(out("train_results.json"));
  EXPECT_TRUE(run_with({"dataloader_num_workers=2", "resume_from_checkpoint=true"}) == wanted);
}

TEST_F(TrainerTest, NeftuneIsNoiseInTrainingAndNoneInEvaluation) {
  const std::vector<std::string> words = {"eval_on_start=true", "eval_strategy=steps", "eval_steps=100",
                                          "learning_rate=1e-12"};
  run(words);
  const Json plain = json("trainer_state.json");
  std::vector<std::string> noisy = words;
  noisy.emplace_back("neftune_noise_alpha=5");
  run(noisy);
  const Json noised = json("trainer_state.json");
  EXPECT_NE(logged(noised, "loss"), logged(plain, "loss"));
  EXPECT_NEAR(logged(noised, "eval_loss")[0], logged(plain, "eval_loss")[0], 1e-9);
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

/// Whoever ends a run gives it seconds, an update on a CPU may take minutes.
TEST_F(TrainerTest, AStopWithinAnUpdateSavesTheOneBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  write_rows(200);
  const std::vector<std::string> words = {"per_device_train_batch_size=1", "gradient_accumulation_steps=100",
                                          "lora_dropout=0.1"};
  EXPECT_EXIT(
      {
        std::vector<std::string> undisturbed = words;
        undisturbed.insert(undisturbed.end(), {"save_steps=1", "save_total_limit=0"});
        run(undisturbed);
        std::filesystem::rename(out(), root_ + "/undisturbed");
        TrainingRun training(settings(words), root_ + "/model", {});
        std::thread asks([this] {
          while (!exists("trainer_log.jsonl") || bytes("trainer_log.jsonl").empty()) std::this_thread::yield();
          while (cpu_ledger().current(MemoryClass::kActivations) == 0) std::this_thread::yield();
          ::kill(::getpid(), SIGTERM);
        });
        const TrainOutput output = training.train();
        asks.join();
        bool same = bytes("train.log").find("Asked to stop within update") != std::string::npos;
        const std::string saved = "checkpoint-" + std::to_string(output.global_step);
        for (const char* name : {"/adapter_model.safetensors", "/optimizer.safetensors"}) {
          same &= bytes(saved + name) == read_text_file(root_ + "/undisturbed/" + saved + name);
        }
        std::exit(same && output.global_step < 10 ? 128 + output.stopped_by_signal : 99);
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

TEST_F(TrainerTest, SigUsr1DuringAnEvaluationSavesAndTheEvaluationIsDoneAgain) {
  {
    TrainingRun training(settings({"eval_on_start=true", "save_total_limit=0"}), root_ + "/model", {});
    std::raise(SIGUSR1);  // nothing asks for it before the first evaluation does
    training.train();
  }
  const Json undisturbed = json("trainer_state.json");
  EXPECT_FALSE(why_not_resume(out("checkpoint-0")).has_value());
  run({"eval_on_start=true", "save_total_limit=0", "resume_from_checkpoint=" + out("checkpoint-0")});
  EXPECT_EQ(logged(json("trainer_state.json"), "eval_loss"), logged(undisturbed, "eval_loss"));
  EXPECT_EQ(logged(json("trainer_state.json"), "loss"), logged(undisturbed, "loss"));
}

TEST_F(TrainerTest, AStopWhileRowsAreReadLeavesWithoutAnything) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGINT);
        try {
          run();
        } catch (const Error& error) {
          std::exit(exists("") ? 99 : exit_code(error.kind(), stop_signal()));
        }
      },
      ::testing::ExitedWithCode(130), "");
}

/// The full disk: the run goes on, keeps what it has, says so, and tries again.
TEST_F(TrainerTest, ASaveThatFailsDoesNotEndTheRun) {
  const auto no_room_for_8 = [](const char* path, int flags, mode_t mode) {
    if (std::string_view(path).find("checkpoint-8.tmp/opt") != std::string_view::npos) return errno = ENOSPC, -1;
    return system_write_calls().open(path, flags, mode);
  };
  write_calls().open = no_room_for_8;
  const TrainOutput output = run({"save_total_limit=1"});
  write_calls() = system_write_calls();
  EXPECT_EQ(output.global_step, 10);
  EXPECT_FALSE(exists("checkpoint-8") || exists("checkpoint-8.tmp"));
  EXPECT_FALSE(why_not_resume(out("checkpoint-10")).has_value());
  const std::string log = bytes("train.log");
  for (const char* text : {"checkpoint-8 could NOT be saved", "optimizer.safetensors: cannot create: No space left",
                           "the newest checkpoint is", "checkpoint-4"}) {
    EXPECT_NE(log.find(text), std::string::npos) << text;
  }
}

TEST_F(TrainerTest, ALastSaveThatFailsIsSaidByTheExitCode) {
  const auto sync_fails_late = [](const char* path, int flags, mode_t mode) {
    write_calls().fsync = std::string_view(path).find("checkpoint-10.tmp/") != std::string_view::npos
                              ? [](int) { return errno = EIO, -1; }
                              : system_write_calls().fsync;
    return system_write_calls().open(path, flags, mode);
  };
  write_calls().open = sync_fails_late;
  try {
    run();
    FAIL() << "ended as if all were well";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 1);
    EXPECT_NE(std::string(error.what()).find("cannot sync: Input/output error"), std::string::npos) << error.what();
  }
  write_calls() = system_write_calls();
  EXPECT_TRUE(exists("adapter_model.safetensors"));  // the model is there, and the checkpoint before
  EXPECT_FALSE(why_not_resume(out("checkpoint-8")).has_value());
  EXPECT_FALSE(exists("checkpoint-10"));
}

TEST_F(TrainerTest, MaxTimeSavesAndLeavesInPeace) {
  const TrainOutput output = run({"max_time=00:00:01"});  // a save has to fit, so one step is all there is time for
  EXPECT_EQ(output.global_step, 1);
  EXPECT_EQ(output.stopped_by_signal, 0);
  EXPECT_TRUE(output.out_of_time);
  EXPECT_TRUE(exists("checkpoint-1"));
  EXPECT_NE(bytes("train.log").find("the run stops at step 1 of 10"), std::string::npos);
}

TEST_F(TrainerTest, ARateThatIsZeroAllAlongIsAFault) {
  for (const char* word : {"learning_rate=0", "warmup_steps=100"}) {
    try {
      run({"use_lora=false", "max_steps=1", word});
      ADD_FAILURE() << word;
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 1);
      EXPECT_NE(std::string(error.what()).find("the learning rate was 0 in each of the run's 1 steps"),
                std::string::npos);
    }
  }
}

TEST_F(TrainerTest, ABestThatWasNotSavedIsSaid) {
  run({"eval_strategy=steps", "eval_steps=5", "save_steps=5", "eval_on_start=true", "load_best_model_at_end=true",
       "greater_is_better=true", "eval_split_ratio=0.2"});
  EXPECT_EQ(json("trainer_state.json")["best_global_step"], 0);
  EXPECT_NE(bytes("train.log").find("at step 0) has no checkpoint: the last weights stay"), std::string::npos);
}

/// It was not at its end: nothing can be said of what it would have learned.
TEST_F(TrainerTest, MaxTimeWithinTheWarmUpIsNoFault) {
  EXPECT_TRUE(run({"max_time=00:00:01", "warmup_steps=5"}).out_of_time);
}

/// What is left of the time belongs to the save; the evaluation is made up for, and may find the best checkpoint.
TEST_F(TrainerTest, AnEvaluationThatTimeLeavesNoRoomForIsMadeUpForAndSaved) {
  const std::vector<std::string> words = {"max_steps=1",  "eval_strategy=steps",  "eval_steps=1",
                                          "save_steps=1", "eval_split_ratio=0.2", "load_best_model_at_end=true"};
  std::vector<std::string> hurried = words, again = words;
  hurried.emplace_back("max_time=00:00:01");
  run(hurried);
  EXPECT_TRUE(logged(json("trainer_state.json"), "eval_loss").empty());
  again.push_back("resume_from_checkpoint=" + out("checkpoint-1"));
  run(again);
  const Json state = json("checkpoint-1/trainer_state.json");
  EXPECT_EQ(logged(state, "eval_loss").size(), 1u);
  EXPECT_EQ(state["best_model_checkpoint"], out("checkpoint-1"));
  EXPECT_EQ(json("checkpoint-1/manifest.json")["totals"]["evaluation_pending"], false);
}

/// The update itself makes NaN of B, whose gradients were zero: its epsilon keeps nothing from dividing by zero.
TEST_F(TrainerTest, WeightsThatTurnNanInTheLastStepsAreNotSaved) {
  EXPECT_THROW(run({"adam_epsilon=0", "max_steps=2", "save_steps=1"}), Error);
  EXPECT_FALSE(exists("adapter_model.safetensors"));
  EXPECT_TRUE(list_checkpoints(out()).empty());
}

TEST_F(TrainerTest, WhatIsNotFiniteStopsTheRunAndIsNotSaved) {
  write_model(7, std::nan(""));
  try {
    run();
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 1);
    EXPECT_NE(std::string(error.what()).find("the loss is not finite at step 3"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(exists("adapter_model.safetensors"));
  EXPECT_TRUE(list_checkpoints(out()).empty());
}

}  // namespace
}  // namespace lathe
