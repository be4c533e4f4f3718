#include "engine/plateau.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

namespace lathe {
namespace {

// tests/oracle/plateau.py; made anew from its state in the middle it goes on the same.
TEST(PlateauSchedule, FollowsTorch) {
  const Json cases = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/plateau.json");
  ASSERT_GE(cases.size(), 6U);
  for (const Json& one : cases) {
    PlateauSchedule schedule(one["learning_rate"], one["kwargs"]);
    for (size_t i = 0; i < one["metrics"].size(); ++i) {
      if (i == 0 || i == 23) {
        const Json kept = parse_json(dump_json(schedule.state()), "state");
        schedule = PlateauSchedule(one["learning_rate"], one["kwargs"]);
        schedule.load(kept);
      }
      schedule.step(one["metrics"][i]);
      EXPECT_DOUBLE_EQ(schedule.learning_rate(), one["rates"][i].get<double>()) << one["kwargs"] << " at " << i;
    }
  }
}

TEST(PlateauSchedule, RefusesWhatTorchDoesNotTake) {
  EXPECT_THROW(PlateauSchedule(1e-3, Json{{"factor", 1.5}}), Error);
  EXPECT_THROW(PlateauSchedule(1e-3, Json{{"mode", "middle"}}), Error);
  EXPECT_THROW(PlateauSchedule(1e-3, Json{{"patiense", 2}}), Error);
}

}  // namespace
}  // namespace lathe
