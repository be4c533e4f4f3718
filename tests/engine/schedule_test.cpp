#include "engine/schedule.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

namespace lathe {
namespace {

// tests/oracle/schedule.py: transformers 5.23.0 and DeepSpeed, value for value.
TEST(LearningRateSchedule, FollowsStoredCurves) {
  const Json cases = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/schedule.json");
  ASSERT_GE(cases.size(), 20u);
  for (const Json& one : cases) {
    const LearningRateSchedule schedule(one["type"], one["learning_rate"], one["warmup_steps"], one["total_steps"],
                                        one["kwargs"]);
    for (size_t step = 0; step < one["values"].size(); ++step) {
      const double theirs = one["values"][step];
      EXPECT_NEAR(schedule.learning_rate(static_cast<int64_t>(step)), theirs, 1e-15 * theirs + 1e-22)
          << one["type"] << one["kwargs"].dump() << " at " << step;
    }
  }
}

TEST(LearningRateSchedule, KnowsNothingOfAnUnknownName) {
  try {
    LearningRateSchedule("cosinus", 1e-3, 0, 10, Json::object());
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_EQ(error.where().key, "lr_scheduler_type");
    EXPECT_NE(std::string(error.what()).find("cosine_with_restarts"), std::string::npos);
  }
}

TEST(LearningRateSchedule, RefusesKwargsThatAreNotItsOwn) {
  EXPECT_THROW(LearningRateSchedule("linear", 1e-3, 0, 10, Json{{"num_cycles", 2}}), Error);
  EXPECT_THROW(LearningRateSchedule("cosine", 1e-3, 0, 10, Json{{"num_cycles", "two"}}), Error);
  EXPECT_THROW(LearningRateSchedule("polynomial", 1e-8, 0, 10, Json::object()), Error);
  EXPECT_THROW(LearningRateSchedule("cosine_with_min_lr", 1e-3, 0, 10, Json::object()), Error);
  EXPECT_THROW(LearningRateSchedule("warmup_stable_decay", 1e-3, 0, 10, Json::object()), Error);
}

}  // namespace
}  // namespace lathe
