#include "base/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <functional>
#include <limits>
#include <thread>

#include "base/log.h"

namespace lathe {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// What run writes to standard error when that is a terminal of 80 columns.
std::string on_terminal(const std::function<void()>& run) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_GE(master, 0);
  EXPECT_EQ(::grantpt(master) | ::unlockpt(master), 0);
  const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  const winsize size{24, 80, 0, 0};
  ::ioctl(slave, TIOCSWINSZ, &size);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(slave, STDERR_FILENO);
  ::close(slave);
  run();
  ::fcntl(master, F_SETFL, O_NONBLOCK);
  std::string seen;
  char buffer[4096];
  for (ssize_t count; (count = ::read(master, buffer, sizeof buffer)) > 0;)
    seen.append(buffer, static_cast<size_t>(count));
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(master);
  return seen;
}

TEST(ProgressBar, PrintsOnePlainLineForAShortRunElsewhere) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar("train", 100);
    for (int i = 1; i <= 100; ++i) bar.update(i, "loss 1.5");
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text, "train: 100% 100/100 [00:00<00:00] loss 1.5\n");
}

TEST(ProgressBar, DrawsInPlaceAndBelowLogLines) {
  const std::string seen = on_terminal([] {
    ProgressBar bar("train", 4, 0);
    bar.update(4, "loss é");
    log::info("saved");
  });
  const std::string clear = "\r\033[K";
  const std::string last = "train: 100% |####################| 4/4 [00:00<00:00] loss é";
  EXPECT_THAT(seen, StartsWith(clear + "train:   0% |                    | 0/4 [00:00<?]"));
  EXPECT_THAT(seen, HasSubstr(clear + last + clear + "saved\r\n" + last));
  EXPECT_THAT(seen, EndsWith(last + "\r\n"));
}

TEST(ProgressBar, NeverFillsMoreThanTheLine) {
  const std::string text = [] {
    std::string twos;
    for (int i = 0; i < 60; ++i) twos += "é";
    return twos;
  }();
  const std::string seen = on_terminal([&] {
    ProgressBar bar("train", 1);
    bar.update(1, text);
  });
  const size_t start = seen.rfind("train");
  EXPECT_LE(seen.substr(start).size(), 81U);  // 79 bytes and the line's end
  EXPECT_THAT(seen, EndsWith("é\r\n"));
}

TEST(ProgressBar, IsSilentWhenDisabled) {
  EXPECT_EQ(on_terminal([] {
              ProgressBar bar("train", 2, 0, false);
              bar.update(2, "x");
            }),
            "");
}

TEST(ProgressBar, CountsOnlyItsOwnSteps) {
  ::testing::internal::CaptureStderr();
  ProgressBar bar("train", 100, 90);
  EXPECT_EQ(bar.remaining_s(), -1);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  bar.update(95, "");
  EXPECT_NEAR(bar.remaining_s(), bar.elapsed_s(), 0.01);
  ::testing::internal::GetCapturedStderr();
}

TEST(ProgressBar, FormatsDurations) {
  EXPECT_EQ(format_duration(0), "00:00");
  EXPECT_EQ(format_duration(245.4), "04:05");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(360000), "100:00:00");
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

}  // namespace
}  // namespace lathe
