#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace lathe {
namespace {

using ::testing::MatchesRegex;

TEST(Log, GoesToTheConsoleByLevelAndToTheFileWhole) {
  const TemporaryFolder folder;
  log::open_log_file(folder / "before.log");  // what other tests have said
  log::open_log_file(folder / "train.log");
  ::testing::internal::CaptureStderr();
  log::debug("hidden {}", 1);
  log::info("loss {:.2f}", 0.5);
  log::warning("careful");
  log::write(log::Level::kError, "broken");
  log::to_file_only("ids 1 2 3");
  log::set_console_level(log::Level::kError);
  log::warning("not shown");
  log::set_console_level(log::Level::kInfo);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "loss 0.50\nwarning: careful\nerror: broken\n");
  const std::string time = "....-..-.. ..:..:.. ";
  EXPECT_THAT(read_text_file(folder / "train.log"),
              MatchesRegex(time + "debug: hidden 1\n" + time + "loss 0.50\n" + time + "warning: careful\n" + time +
                           "error: broken\n" + time + "ids 1 2 3\n" + time + "warning: not shown\n"));
}

TEST(Log, WhatIsSaidBeforeAFileIsOpenedStandsInIt) {
  const TemporaryFolder folder;
  log::open_log_file(folder / "first.log");
  log::close_log_file();
  log::set_console_level(log::Level::kError);
  log::info("early");
  for (int i = 0; i < 10001; ++i) log::info("row skipped");
  log::open_log_file(folder / "second.log");
  log::info("late");
  log::set_console_level(log::Level::kInfo);
  const std::string text = read_text_file(folder / "second.log");
  EXPECT_NE(text.find(" early\n"), std::string::npos);
  EXPECT_NE(text.find(" 2 lines more were said before this file was opened\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with(" late\n"));
  EXPECT_EQ(read_text_file(folder / "first.log"), "");
}

}  // namespace
}  // namespace lathe
