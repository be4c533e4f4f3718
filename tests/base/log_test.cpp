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

}  // namespace
}  // namespace lathe
