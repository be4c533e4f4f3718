#include "ops/check.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

namespace lathe::ops {
namespace {

using ::testing::HasSubstr;

template <typename Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    return error.what();
  }
  return "no error";
}

TEST(CheckTest, NamesTensorShapesAndTypes) {
  const at::Tensor x = at::zeros({2, 3}), absent;
  EXPECT_EQ(message_of([&] { LATHE_EXPECT(x, ({2, kAny}), at::kFloat); }), "no error");
  EXPECT_THAT(message_of([&] { LATHE_EXPECT(x, ({2, 4})); }), HasSubstr("x has shape [2, 3], expected [2, 4]"));
  EXPECT_THAT(message_of([&] { LATHE_EXPECT(x, ({kAny})); }), HasSubstr("expected [*]"));
  EXPECT_THAT(message_of([&] { LATHE_EXPECT(x, ({2, 3}), at::kBFloat16); }), HasSubstr("Float, expected BFloat16"));
  EXPECT_THAT(message_of([&] { LATHE_EXPECT(absent, ({2})); }), HasSubstr("absent is missing"));
}

}  // namespace
}  // namespace lathe::ops
