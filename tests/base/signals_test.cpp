#include "base/signals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace lathe {
namespace {

// Each in a process of its own: what a signal leaves behind must not reach the other tests.

TEST(SignalsDeathTest, FirstStopIsRemembered) {
  const auto run = [] {
    install_signal_handlers();
    throw_if_stopped();
    ::raise(SIGTERM);
    if (stop_signal() != SIGTERM) std::_Exit(1);
    try {
      throw_if_stopped();
    } catch (const Error& error) {
      std::_Exit(exit_code(error.kind(), stop_signal()));
    }
    std::_Exit(2);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(SignalsDeathTest, SecondStopLeavesAtOnce) {
  const auto run = [] {
    install_signal_handlers();
    ::raise(SIGTERM);
    ::raise(SIGINT);
    std::_Exit(1);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(128 + SIGINT), "");
}

TEST(SignalsDeathTest, HangupsStopAndNeverLeaveAtOnce) {
  const auto run = [] {
    install_signal_handlers();
    ::raise(SIGHUP);
    ::raise(SIGHUP);
    if (stop_signal() != SIGHUP) std::_Exit(1);
    ::raise(SIGTERM);  // the same event, said by somebody else
    ::raise(SIGHUP);
    std::_Exit(stop_signal() == SIGTERM ? 0 : 2);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST(SignalsDeathTest, HangupIsIgnoredUnderNohup) {
  const auto run = [] {
    std::signal(SIGHUP, SIG_IGN);
    install_signal_handlers();
    ::raise(SIGHUP);
    std::_Exit(stop_signal());
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST(SignalsDeathTest, SaveRequestIsTakenOnce) {
  const auto run = [] {
    install_signal_handlers();
    const bool before = take_save_request();
    ::raise(SIGUSR1);
    ::raise(SIGUSR1);
    const bool first = take_save_request(), second = take_save_request();
    std::_Exit(!before && first && !second && stop_signal() == 0 ? 0 : 1);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace lathe
