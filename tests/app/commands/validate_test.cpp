// `lathe validate` from the command line: what it prints and the exit code.
#include "app/commands/config_commands.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using ValidateCommand = ConfigCommands;

TEST_F(ValidateCommand, ListsEveryProblem) {
  EXPECT_EQ(run({"validate", root_ + "/run.json"}), 0);
  EXPECT_THAT(out_, HasSubstr("run.json: valid\n"));
  write_config("\"lora_rr\": 1,\n\"bf16\": 1");
  EXPECT_EQ(run({"validate", root_ + "/run.json", LATHE_SOURCE_DIR "/configs/train_config_lora.json"}), 2);
  EXPECT_THAT(out_, HasSubstr("run.json:2: 'lora_rr' is not a known key"));
  EXPECT_THAT(out_, HasSubstr("run.json:3: 'bf16': expected true or false"));
  EXPECT_THAT(out_, HasSubstr("1 of 2 valid\n"));
}

TEST_F(ValidateCommand, NeedsAFile) {
  EXPECT_EQ(run({"validate"}), 2);
  EXPECT_THAT(error_, HasSubstr("there is nothing to validate"));
}

TEST_F(ValidateCommand, PrintsTheReference) {
  EXPECT_EQ(run({"validate", "--reference"}), 0);
  EXPECT_TRUE(out_ == read_text_file(LATHE_SOURCE_DIR "/docs/config.md"));
}

}  // namespace
}  // namespace lathe
