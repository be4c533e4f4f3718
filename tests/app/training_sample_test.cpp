// The demo's answers before and after training, with a home folder whose demo is a tiny one.
#include "app/training_sample.h"

#include <gmock/gmock.h>

#include "app/run_lathe.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

class TrainingSample : public ProgramTest {};

TEST_F(TrainingSample, ShowsTheFirstHeldOutRowBeforeAndAfter) {
  write_text(path("held.jsonl"), "{\"instruction\":\"Say it\",\"input\":\"\",\"output\":\"seven\"}\n");
  write_settings({{"eval_data_path", "held.jsonl"}, {"learning_rate", 0.05}});
  std::filesystem::create_directories(path("home/configs"));
  std::filesystem::rename(path("train.json"), path("home/configs/train_config_demo.json"));
  const ProgramRun run = run_lathe(folder_, "train -t demo", "LATHE_HOME=./home");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const size_t before = run.output.find("A sample before training"), start = run.output.find("{'loss'"),
               after = run.output.find("A sample after training");
  ASSERT_NE(after, std::string::npos) << run.output;
  EXPECT_LT(before, start);
  EXPECT_LT(start, after);
  EXPECT_THAT(run.output.substr(after), HasSubstr("Say it"));
  EXPECT_THAT(run.output.substr(after), HasSubstr("expected: seven"));
}

}  // namespace
}  // namespace lathe
