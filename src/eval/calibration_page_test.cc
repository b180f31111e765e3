#include "eval/calibration_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/html_for_test.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

CalibrationPageData SmallData() {
  CalibrationPageData data;
  data.model = "tiny <model>";
  data.machine = "1 core";
  data.num_layers = 16;
  data.settings = "20 % of the tokens go on";
  data.prompts = "8 prompts";
  data.command = "fastkv calibrate --model \"a&b\"";
  for (int64_t i = 0; i < 3; ++i) {
    LayerSummary layer;
    layer.layer = 4 + i;
    layer.logits_distance = {0.4 / static_cast<double>(1 + i), 0.5};
    layer.argmax_agreement = {0.75, 0.5};
    layer.prefill_share = 0.4 + 0.1 * static_cast<double>(i);
    if (i < 2) layer.overlap_with_next = PromptSpread{0.5, 0.4};
    data.calibration.curve.push_back(layer);
  }
  data.calibration.choice = {.layer = 5, .threshold = 0.21, .is_fallback = false};
  data.calibration.compared_positions = 1234;
  return data;
}

TEST(CalibrationPage, IsOneBalancedSelfContainedFile) {
  const std::string html = RenderCalibrationPage(SmallData());
  ExpectBalanced(html);
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
}

TEST(CalibrationPage, ShowsTheChoiceAndEveryLayer) {
  const std::string html = RenderCalibrationPage(SmallData());
  EXPECT_THAT(html, HasSubstr("<b>layer 5</b>"));
  EXPECT_THAT(html, HasSubstr("<dd>5<small>of 16, counted from 0"));
  EXPECT_THAT(html, HasSubstr("<dd>20&nbsp;%<small>nine prompts in ten: at most 50&nbsp;%"));
  EXPECT_THAT(html, HasSubstr("over 1,234 positions"));
  EXPECT_EQ(Occurrences(html, "class=\"chosen-row\""), 1u);
  EXPECT_EQ(Occurrences(html, "<tr"), 4u);
  EXPECT_THAT(html, HasSubstr("tiny &lt;model&gt;"));
  EXPECT_THAT(html, HasSubstr("a&amp;b"));
}

TEST(CalibrationPage, AFallbackOutsideTheCurveMarksNoLayer) {
  CalibrationPageData data = SmallData();
  data.calibration.choice = {.layer = 7, .threshold = 0.01, .is_fallback = true};
  const std::string html = RenderCalibrationPage(data);
  ExpectBalanced(html);
  EXPECT_THAT(html, HasSubstr("No layer tried came down to the limit"));
  EXPECT_EQ(Occurrences(html, "class=\"chosen-row\""), 0u);
  EXPECT_EQ(Occurrences(html, "class=\"chosen\""), 0u);
}

}  // namespace
}  // namespace fastkv
