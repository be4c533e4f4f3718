#include "train/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace lathe {
namespace {

TEST(Report, CurvesLeaveOutWhatIsNotFinite) {
  const Json history = Json::array({{{"step", 1}, {"loss", 2.0}},
                                    {{"step", 2}, {"loss", std::numeric_limits<double>::quiet_NaN()}},
                                    {{"step", 2}, {"eval_loss", 1.0}},
                                    {{"step", 3}, {"loss", 1.5}}});
  const Curve curve = curve_of(history, "loss", "train");
  ASSERT_EQ(curve.points.size(), 2u);
  EXPECT_EQ(curve.points[1], std::make_pair(3.0, 1.5));
}

TEST(Report, AFallingCurveFallsOnTheScreen) {
  const std::string svg = line_chart("loss", {{"train", {{1, 3.0}, {2, 1.0}}}});
  const size_t at = svg.find("points=\"");
  ASSERT_NE(at, std::string::npos);
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  ASSERT_EQ(std::sscanf(svg.c_str() + at, "points=\"%lf,%lf %lf,%lf", &x1, &y1, &x2, &y2), 4);
  EXPECT_LT(x1, x2);
  EXPECT_LT(y1, y2);  // SVG counts downwards
}

TEST(Report, EmptyCurvesAndConstantOnesHaveAxes) {
  for (const std::string& svg : {line_chart("a", {{"x", {}}}), line_chart("a", {{"x", {{5, 0.0}}}})}) {
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
  }
}

TEST(Report, TextCannotBecomeMarkup) {
  EXPECT_EQ(escape_html("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
  const std::string html = report_html({.title = "<script>",
                                        .log_history = Json::array(),
                                        .results = Json{{"a", "<i>"}},
                                        .data_report = "<u>",
                                        .training_args = "{}"});
  for (const char* markup : {"<script>", "<i>", "<u>"}) EXPECT_EQ(html.find(markup), std::string::npos) << markup;
}

}  // namespace
}  // namespace lathe
