#include "engine/output_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using Floats = std::vector<float>;

TEST(OutputDifferenceTest, DistanceIsAShareOfTheReference) {
  EXPECT_EQ(NormalisedDistance(Floats{3, 4}, Floats{3, 4}), 0);
  EXPECT_NEAR(NormalisedDistance(Floats{3, 4 + 0.5F}, Floats{3, 4}), 0.1, 1e-12);
  EXPECT_NEAR(NormalisedDistance(Floats{-3, -4}, Floats{3, 4}), 2, 1e-12);
  EXPECT_EQ(NormalisedDistance(Floats{0, 0}, Floats{0, 0}), 0);
  EXPECT_EQ(NormalisedDistance(Floats{1, 0}, Floats{0, 0}), 1);
}

TEST(OutputDifferenceTest, DivergenceOfTwoCoins) {
  const auto logit = [](double p) { return static_cast<float>(std::log(p)); };
  const Floats fair = {logit(0.5), logit(0.5)};
  const Floats bent = {logit(0.25), logit(0.75)};
  const double expected = 0.5 * std::log(0.5 / 0.25) + 0.5 * std::log(0.5 / 0.75);
  EXPECT_NEAR(KlDivergence(fair, bent), expected, 1e-7);
  EXPECT_NEAR(KlDivergence(bent, fair), 0.25 * std::log(0.5) + 0.75 * std::log(1.5), 1e-7);
  EXPECT_EQ(KlDivergence(bent, bent), 0);
  // A constant added to all logits is the same distribution; large ones do not overflow.
  EXPECT_NEAR(KlDivergence(Floats{1000, 1001}, Floats{-1000, -999}), 0, 1e-9);
}

TEST(OutputDifferenceTest, OverlapCountsTheLikeliest) {
  EXPECT_EQ(TopOverlap(Floats{1, 2, 3, 4}, Floats{4, 3, 2, 1}, 2), 0);
  EXPECT_EQ(TopOverlap(Floats{1, 2, 3, 4}, Floats{1, 4, 2, 3}, 2), 0.5);
  EXPECT_EQ(TopOverlap(Floats{1, 2}, Floats{2, 1}, 10), 1);
  EXPECT_EQ(TopOverlap(Floats{5, 5, 1}, Floats{5, 4, 4}, 1), 1);  // ties: the lower index
  EXPECT_EQ(TopOverlap(Floats{}, Floats{}, 10), 1);
}

TEST(OutputDifferenceTest, NormHasUnitMeanSquare) {
  Floats x = {3, -4, 0, 5};
  ApplyRmsNorm(x, Floats{1, 1, 1, 2}, 0);
  const auto rms = static_cast<float>(std::sqrt(50.0 / 4));
  EXPECT_THAT(x, ElementsAre(FloatNear(3 / rms, 1e-6), FloatNear(-4 / rms, 1e-6), 0,
                             FloatNear(10 / rms, 1e-6)));
}

TEST(OutputDifferenceTest, AllMeasuresOfOnePosition) {
  const OutputDifference same =
      CompareOutputs(Floats{1, 2, 3}, Floats{1, 2, 3}, Floats{1}, Floats{1});
  EXPECT_EQ(same.logits_distance, 0);
  EXPECT_EQ(same.hidden_distance, 0);
  EXPECT_EQ(same.argmax_agreement, 1);
  EXPECT_EQ(same.top10_overlap, 1);
  const OutputDifference other =
      CompareOutputs(Floats{3, 2, 1}, Floats{1, 2, 3}, Floats{2}, Floats{1});
  EXPECT_GT(other.kl_divergence, 1);
  EXPECT_EQ(other.hidden_distance, 1);
  EXPECT_EQ(other.argmax_agreement, 0);
  const OutputDifference mean = MeanDifference(std::vector<OutputDifference>{same, other});
  EXPECT_EQ(mean.hidden_distance, 0.5);
  EXPECT_EQ(mean.argmax_agreement, 0.5);
  EXPECT_EQ(mean.kl_divergence, other.kl_divergence / 2);
}

}  // namespace
}  // namespace fastkv
