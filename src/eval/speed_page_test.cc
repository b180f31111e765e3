#include "eval/speed_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/line_chart.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SpeedRow Row(const std::string& method, int64_t context, double prefill_ms, double decode_ms) {
  SpeedRow row{.method = method, .context = context, .new_tokens = 32, .repeat = 3};
  row.prefill_ms = {.median = prefill_ms, .min = prefill_ms * 0.9, .max = prefill_ms * 1.1};
  row.decode_ms_per_token = Spread{.median = decode_ms, .min = decode_ms, .max = decode_ms};
  row.kv_bytes = context * 1024;
  row.full_kv_bytes = context * 4096;
  row.peak_bytes = context * 8192;
  return row;
}

SpeedReport Report() {
  SpeedReport report{.model = "a <model>", .machine = "cpu: AVX2", .command = "fastkv bench"};
  report.rows = {Row("full", 4096, 4000, 20), Row("fastkv", 4096, 2000, 10),
                 Row("full", 8192, 9000, 30), Row("fastkv", 8192, 3000, 10)};
  for (size_t i = 1; i < report.rows.size(); i += 2) {
    report.rows[i].speedup_prefill = i == 1 ? 2 : 3;
    report.rows[i].speedup_decode = i == 1 ? 2 : 3;
  }
  return report;
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(LineChart, StepsAreOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_DOUBLE_EQ(NiceStep(10, 5), 2);
  EXPECT_DOUBLE_EQ(NiceStep(11, 5), 5);
  EXPECT_DOUBLE_EQ(NiceStep(9900, 5), 2000);
  EXPECT_DOUBLE_EQ(NiceStep(0.03, 5), 0.01);
  EXPECT_DOUBLE_EQ(NiceStep(4.1, 5), 1);
}

TEST(LineChart, PutsTwiceTheTimeTwiceAsHigh) {
  const ChartLine line{.name = "full",
                       .points = {{.context = 1024, .ms = {50, 50, 50}},
                                  {.context = 2048, .ms = {100, 100, 100}},
                                  {.context = 4096, .ms = {25, 25, 25}}}};
  const std::string svg = RenderLineChart("times", {line});
  // The bottom is at 240 and the top, 100 ms, at 12; 2048 is half-way between 1024 and 4096.
  EXPECT_THAT(svg, HasSubstr("d=\"M84.0 126.0L234.0 12.0L384.0 183.0\""));
  EXPECT_THAT(svg, HasSubstr(">100 ms</text>"));
  EXPECT_THAT(svg, HasSubstr(">4,096</text>"));
}

TEST(LineChart, CutsOffASingleSlowRun) {
  const ChartLine line{.name = "full", .points = {{.context = 64, .ms = {100, 90, 5000}}}};
  const std::string svg = RenderLineChart("times", {line});
  // 125 ms at most, in steps of 50: the stroke ends at the top.
  EXPECT_THAT(svg, HasSubstr(">150 ms</text>"));
  EXPECT_THAT(svg, HasSubstr("V12.0\""));
}

TEST(SpeedPage, DrawsOneLineForEachMethod) {
  const std::string page = RenderSpeedPage(Report());
  EXPECT_EQ(CountOf(page, "<svg class=\"chart\""), 2);
  EXPECT_EQ(CountOf(page, "<g class=\"s0\">"), 2);
  EXPECT_EQ(CountOf(page, "<g class=\"s1\">"), 2);
  EXPECT_THAT(page, HasSubstr("fastkv at 8,192: 3.00 s"));
  EXPECT_THAT(page, HasSubstr("3.0× sooner"));
  EXPECT_THAT(page, HasSubstr("8.00 MiB instead of 32.0 MiB"));
}

TEST(SpeedPage, EscapesWhatCameFromOutside) {
  SpeedReport report = Report();
  report.command = "fastkv bench --model '<script>'";
  report.rows[0].error = "no <memory>";
  const std::string page = RenderSpeedPage(report);
  EXPECT_THAT(page, HasSubstr("a &lt;model&gt;"));
  EXPECT_THAT(page, HasSubstr("no &lt;memory&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(SpeedPage, ShowsWhatThereIs) {
  SpeedReport report = Report();
  report.rows.resize(1);
  report.rows[0].decode_ms_per_token.reset();
  const std::string page = RenderSpeedPage(report);
  EXPECT_EQ(CountOf(page, "<svg class=\"chart\""), 1);
  EXPECT_THAT(page, Not(HasSubstr("class=\"tiles\"")));
  report.rows[0].error = "no memory";
  EXPECT_EQ(CountOf(RenderSpeedPage(report), "<svg class=\"chart\""), 0);
}

}  // namespace
}  // namespace fastkv
