#include "engine/layer_choice.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

std::vector<LayerSummary> Curve(int64_t first_layer, const std::vector<double>& distances) {
  std::vector<LayerSummary> curve;
  for (const double distance : distances) {
    LayerSummary layer;
    layer.layer = first_layer + static_cast<int64_t>(curve.size());
    layer.logits_distance.mean = distance;
    curve.push_back(layer);
  }
  return curve;
}

TEST(LayerChoiceTest, TakesTheKneeOfTheCurve) {
  // tau = 0.02 + 0.1 * 0.5
  const LayerChoice choice =
      ChooseTspLayer(Curve(4, {0.52, 0.2, 0.071, 0.06, 0.02, 0.03}), std::nullopt, 16);
  EXPECT_NEAR(choice.threshold, 0.07, 1e-12);
  EXPECT_EQ(choice.layer, 7);
  EXPECT_FALSE(choice.is_fallback);
}

TEST(LayerChoiceTest, TakesTheFirstOfAFlatCurve) {
  EXPECT_EQ(ChooseTspLayer(Curve(4, {0.3, 0.3, 0.3}), std::nullopt, 16).layer, 4);
  EXPECT_EQ(ChooseTspLayer(Curve(9, {0.3}), std::nullopt, 16).layer, 9);
}

TEST(LayerChoiceTest, AGivenThresholdIsAbsolute) {
  const std::vector<LayerSummary> curve = Curve(4, {0.52, 0.2, 0.071, 0.06, 0.02, 0.03});
  EXPECT_EQ(ChooseTspLayer(curve, 0.2, 16).layer, 5);
  EXPECT_EQ(ChooseTspLayer(curve, 1.0, 16).layer, 4);
  const LayerChoice none = ChooseTspLayer(curve, 0.01, 16);
  EXPECT_TRUE(none.is_fallback);
  EXPECT_EQ(none.layer, 7);
  EXPECT_EQ(ChooseTspLayer(Curve(0, {0.5}), 0.01, 2).layer, 0);
}

CutEffect Effect(double distance, double agreement, std::optional<double> overlap) {
  CutEffect effect;
  effect.output.logits_distance = distance;
  effect.output.argmax_agreement = agreement;
  effect.overlap_with_next = overlap;
  effect.prefill_share = 0.5;
  return effect;
}

TEST(LayerChoiceTest, SummaryHasTheMeanAndWhatNineInTenAreNoWorseThan) {
  std::vector<std::vector<CutEffect>> effects;
  for (int i = 0; i <= 10; ++i) {
    effects.push_back({Effect(i, i / 10.0, i / 10.0), Effect(1, 1, std::nullopt)});
  }
  const std::vector<LayerSummary> curve = SummarizeCuts(6, effects);
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[0].layer, 6);
  EXPECT_EQ(curve[1].layer, 7);
  EXPECT_DOUBLE_EQ(curve[0].logits_distance.mean, 5);
  EXPECT_DOUBLE_EQ(curve[0].logits_distance.nine_in_ten, 9);  // the larger, the worse
  EXPECT_DOUBLE_EQ(curve[0].argmax_agreement.nine_in_ten, 0.1);
  EXPECT_DOUBLE_EQ(curve[0].overlap_with_next->mean, 0.5);
  EXPECT_DOUBLE_EQ(curve[0].prefill_share, 0.5);
  EXPECT_FALSE(curve[1].overlap_with_next.has_value());
}

TEST(LayerChoiceTest, PercentilesLieBetweenPrompts) {
  const std::vector<LayerSummary> curve =
      SummarizeCuts(0, std::vector<std::vector<CutEffect>>{{Effect(1, 1, 1)}, {Effect(2, 0, 1)}});
  EXPECT_DOUBLE_EQ(curve[0].logits_distance.nine_in_ten, 1.9);
  EXPECT_DOUBLE_EQ(curve[0].argmax_agreement.nine_in_ten, 0.1);
}

}  // namespace
}  // namespace fastkv
