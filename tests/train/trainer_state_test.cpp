#include "train/trainer_state.h"

#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include "base/file.h"

namespace lathe {
namespace {

std::string temporary() {
  return ::testing::TempDir() + "trainer_state_" + std::to_string(getpid()) + ".json";
}

TEST(TrainerState, ComesBackAsItWasWritten) {
  TrainerState state;
  state.epoch = 0.1 + 0.2;
  state.global_step = 7;
  state.log_history.push_back({{"loss", 1.0 / 3}, {"step", 7}});
  state.best_metric = 0.5;
  state.best_model_checkpoint = "out/checkpoint-7";
  atomic_write(temporary(), dump_json(to_json(state), 2));
  const TrainerState back = read_trainer_state(temporary());
  EXPECT_EQ(to_json(back), to_json(state));
  EXPECT_EQ(back.log_history[0]["loss"].get<double>(), 1.0 / 3);
  EXPECT_FALSE(back.best_global_step.has_value());
}

TEST(TrainerState, AWrongTypeNamesTheFile) {
  atomic_write(temporary(), R"({"global_step": "seven"})");
  try {
    (void)read_trainer_state(temporary());
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.where().file, temporary());
  }
}

TEST(RunTotals, ComeBackAsTheyWereWritten) {
  const RunTotals totals{.loss_since_log = 0.1,
                         .loss = 2.5,
                         .last_logged_step = 3,
                         .tokens = 10,
                         .trained_tokens = 4,
                         .rows = 2,
                         .runtime_s = 1.5,
                         .evaluation_pending = true};
  EXPECT_EQ(to_json(parse_run_totals(to_json(totals), "x")), to_json(totals));
}

}  // namespace
}  // namespace lathe
