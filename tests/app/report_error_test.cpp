#include "app/report_error.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <new>
#include <stdexcept>

namespace lathe {
namespace {

using ::testing::HasSubstr;

struct Reported {
  int code;
  std::string text;
};

template <typename Function>
Reported report(Function throws) {
  ::testing::internal::CaptureStderr();
  int code = 0;
  try {
    throws();
  } catch (...) {
    code = report_current_exception();
  }
  return {code, ::testing::internal::GetCapturedStderr()};
}

TEST(ReportError, OurOwnErrorsKeepPlaceAndHintApart) {
  const auto [code, text] = report([] {
    throw Error(ErrorKind::kConfig, "is not a number", {.file = "a.json", .line = 3, .key = "lora_r"}, "give a number");
  });
  EXPECT_EQ(code, 2);
  EXPECT_EQ(text, "error: a.json:3: 'lora_r': is not a number\nhint: give a number\n");
}

TEST(ReportError, EachKindHasItsCode) {
  EXPECT_EQ(report([] { throw Error(ErrorKind::kRun, "x"); }).code, 1);
  EXPECT_EQ(report([] { throw Error(ErrorKind::kData, "x"); }).code, 2);
  EXPECT_EQ(report([] { throw Error(ErrorKind::kMemory, "x"); }).code, 3);
}

TEST(ReportError, NoMemoryIsThreeWhoeverSaysIt) {
  const Reported ours = report([] { throw std::bad_alloc(); });
  EXPECT_EQ(ours.code, 3);
  EXPECT_THAT(ours.text, HasSubstr("per_device_train_batch_size"));
  const Reported torchs = report([] { static_cast<void>(at::empty({int64_t{1} << 55})); });
  EXPECT_EQ(torchs.code, 3);
}

TEST(ReportError, LibtorchsErrorsComeWithoutTheirBacktrace) {
  const auto [code, text] = report([] { static_cast<void>(at::ones({2, 3}).mm(at::ones({2, 3}))); });
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, HasSubstr("libtorch"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("frame #")));
}

TEST(ReportError, AnythingElseIsABugOfOurs) {
  const auto [code, text] = report([] { throw std::runtime_error("odd"); });
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, HasSubstr("bug in Lathe"));
}

}  // namespace
}  // namespace lathe
