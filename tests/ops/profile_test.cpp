#include "ops/profile.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace lathe::ops {
namespace {

using ::testing::HasSubstr;

int64_t calls_of(const std::vector<ProfileLine>& lines, const std::string& name) {
  for (const ProfileLine& line : lines) {
    if (line.name == name) return line.calls;
  }
  return 0;
}

TEST(Profile, CountsOutermostOpsAndPhasesApart) {
  start_profile();
  for (int64_t layer = 0; layer < 2; ++layer) {
    const ProfileScope phase(ProfileKind::kPhase, "layer", layer);
    const at::Tensor x = at::ones({8, 8});
    const ProfileScope op(ProfileKind::kOp, "own", 8, 8);
    (void)at::mm(x, x);
  }
  (void)at::mm(at::ones({4, 4}), at::ones({4, 4}));
  const Profile profile = stop_profile();
  EXPECT_EQ(calls_of(profile.ops, "own 8 x 8"), 2);
  EXPECT_EQ(calls_of(profile.ops, "aten::mm"), 1) << "the two inside an op of ours are that op's";
  EXPECT_EQ(calls_of(profile.phases, "layer 0"), 1);
  EXPECT_EQ(calls_of(profile.phases, "layer 1"), 1);
  const double sum = std::accumulate(profile.ops.begin(), profile.ops.end(), 0.0,
                                     [](double all, const ProfileLine& line) { return all + line.seconds; });
  EXPECT_LE(sum, profile.seconds);
  EXPECT_THAT(describe(profile), HasSubstr("own 8 x 8"));
}

TEST(Profile, CostsNothingBeforeAndAfter) {
  { const ProfileScope op(ProfileKind::kOp, "unseen"); }
  start_profile();
  const Profile profile = stop_profile();
  (void)at::ones({3});
  EXPECT_TRUE(profile.ops.empty());
}

}  // namespace
}  // namespace lathe::ops
