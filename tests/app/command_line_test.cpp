// The table of commands, seen from the shell.
#include "app/command_line.h"

#include <gmock/gmock.h>

#include "app/run_lathe.h"

namespace lathe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const char* const kCommands[] = {"train",           "generate", "init",     "download", "tokenize",
                                 "train-tokenizer", "plan",     "validate", "doctor"};

TEST(CommandLine, HelpListsEveryCommandAndEachHasItsOwn) {
  const ProgramRun help = run_lathe(".", "--help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(run_lathe(".", "").output, help.output);
  for (const std::string command : kCommands) {
    EXPECT_THAT(help.output, HasSubstr("  " + command + " "));
    const ProgramRun own = run_lathe(".", command + " --help");
    EXPECT_EQ(own.exit_code, 0) << own.output;
    EXPECT_THAT(own.output, HasSubstr("lathe " + command)) << own.output;
  }
}

TEST(CommandLine, VersionIsTheProjects) {
  const ProgramRun run = run_lathe(".", "--version");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.output, ::testing::MatchesRegex("lathe [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, WhatIsNotUnderstoodIsTwo) {
  const auto expect_refused = [](const std::string& words, const std::string& part) {
    const ProgramRun run = run_lathe(".", words);
    EXPECT_EQ(run.exit_code, 2) << run.output;
    EXPECT_THAT(run.output, AllOf(HasSubstr("error: "), HasSubstr("hint: "), HasSubstr(part)));
  };
  expect_refused("trian", "'train'");
  expect_refused("train --fast", "--fast");
  expect_refused("train", "-c FILE");
  expect_refused("train -t nothing", "qlora_8bit");
  expect_refused("generate -m model", "--prompt");
  expect_refused("generate -m model --prompt x --temperature warm", "warm");
  EXPECT_EQ(run_lathe(".", "train -c nowhere.json").exit_code, 2);
}

}  // namespace
}  // namespace lathe
