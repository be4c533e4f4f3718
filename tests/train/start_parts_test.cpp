#include "train/start_parts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lathe {
namespace {

TEST(StartParts, FollowOneAnotherFromTheStartOfTheProcess) {
  StartParts parts;
  parts.end("settings");
  parts.end("rows");
  const double until_now = now_s() - kProcessStart_s;
  const Json json = parts.json();
  ASSERT_EQ(json.size(), 2);
  EXPECT_EQ(json.begin().key(), "settings");
  const double settings = json["settings"].get<double>(), rows = json["rows"].get<double>();
  EXPECT_GE(settings, 0);
  EXPECT_GE(rows, 0);
  EXPECT_LE(settings + rows, until_now + 0.001);  // each is rounded to a thousandth
  EXPECT_TRUE(parts.text().starts_with("settings ")) << parts.text();
  EXPECT_NE(parts.text().find(" s, rows "), std::string::npos) << parts.text();
}

}  // namespace
}  // namespace lathe
