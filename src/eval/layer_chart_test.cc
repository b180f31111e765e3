#include "eval/layer_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/html_for_test.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(LayerChartTest, DrawsLinesPointsAndLimit) {
  const std::string html = RenderLayerChart({.title = "distance <d>",
                                             .first_layer = 4,
                                             .series = {{"mean", "mean", {0.4, 0.1, 0.0}}},
                                             .limit = 0.2,
                                             .limit_name = "limit",
                                             .marked_layer = 5});
  ExpectBalanced(html);
  EXPECT_THAT(html, HasSubstr("distance &lt;d&gt;"));
  // The axis ends at 0.5: 0.4 lies at 80 % of the height, and SVG counts from the top.
  EXPECT_THAT(html, HasSubstr("d=\"M0.00 20.00L50.00 80.00L100.00 100.00\""));
  EXPECT_THAT(html, HasSubstr("M0 60.00H100"));
  EXPECT_THAT(html, HasSubstr("left:50.00%\"><b>layer 5</b>"));
  EXPECT_THAT(html, HasSubstr("title=\"layer 4: 0.4\""));
  EXPECT_EQ(Occurrences(html, "class=\"point mean\""), 3u);
  EXPECT_EQ(Occurrences(html, "class=\"layer\""), 3u);
}

TEST(LayerChartTest, AMissingValueBreaksTheLine) {
  const std::string html = RenderLayerChart({.title = "shares",
                                             .first_layer = 0,
                                             .series = {{"a", "mean", {0.5, std::nullopt, 1.0}}},
                                             .limit = std::nullopt,
                                             .limit_name = "",
                                             .marked_layer = std::nullopt,
                                             .in_percent = true});
  EXPECT_THAT(html, HasSubstr("d=\"M0.00 50.00M100.00 0.00\""));
  EXPECT_EQ(Occurrences(html, "class=\"point"), 2u);
  EXPECT_THAT(html, HasSubstr("100 %"));
  EXPECT_THAT(html, Not(HasSubstr("class=\"limit\"")));
}

TEST(LayerChartTest, OneLayerStandsInTheMiddleAndManyAreLabelledSparsely) {
  LayerChart chart;
  chart.title = "one";
  chart.series = {{"a", "mean", {0.0}}};
  EXPECT_THAT(RenderLayerChart(chart), HasSubstr("left:50.00%;bottom:0.00%"));
  chart.series[0].values.assign(60, 0.5);
  const std::string html = RenderLayerChart(chart);
  EXPECT_EQ(Occurrences(html, "class=\"layer\""), 12u);
  EXPECT_EQ(Occurrences(html, "class=\"point"), 60u);
}

TEST(LayerChartTest, AxesEndAtRoundNumbers) {
  EXPECT_DOUBLE_EQ(RoundAxisEnd(0.17), 0.2);
  EXPECT_DOUBLE_EQ(RoundAxisEnd(0.21), 0.25);
  EXPECT_DOUBLE_EQ(RoundAxisEnd(0.26), 0.5);
  EXPECT_DOUBLE_EQ(RoundAxisEnd(5.1), 10);
  EXPECT_DOUBLE_EQ(RoundAxisEnd(1), 1);
  EXPECT_DOUBLE_EQ(RoundAxisEnd(0), 1);
}

}  // namespace
}  // namespace fastkv
