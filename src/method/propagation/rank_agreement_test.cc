#include "method/propagation/rank_agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "method/propagation/exact_toy_layer_for_test.h"
#include "method/propagation/ranking.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;

constexpr int kWindow = 3;
constexpr int kKernel = 3;
constexpr int kCount = 12 - kWindow;
constexpr int kLayers = 9;

std::vector<int32_t> RanksAt(int layer) {
  return DescendingRanks(ExactToyLayer::OfStack(layer).TokenScores(kWindow, kKernel));
}

// The layer behind which the toy stack is cut, or nothing.
std::optional<int> CutLayer(const RankAgreementOptions& options) {
  RankAgreement agreement(options);
  for (int layer = 0; layer < kLayers; ++layer) {
    if (!agreement.Reads(layer)) continue;
    if (agreement.Observe(layer, ExactToyLayer::OfStack(layer).TokenScores(kWindow, kKernel),
                          kCount)) {
      return layer;
    }
  }
  return std::nullopt;
}

TEST(RankAgreementTest, ScoresAndRanksOfTheToyStack) {
  const std::vector<double> scores = ExactToyLayer::OfStack(3).TokenScores(kWindow, kKernel);
  const double expected[] = {0.625263, 0.785670, 0.505821, 0.244769, 0.089769};
  for (int j = 0; j < 5; ++j) EXPECT_NEAR(scores[j], expected[j], 5e-7);
  EXPECT_THAT(RanksAt(1), ElementsAre(7, 5, 8, 11, 16, 21, 19, 15, 10, 4, 2, 1, 3, 6, 9, 12, 17, 20,
                                      18, 13, 14));
  EXPECT_THAT(RanksAt(3), ElementsAre(7, 5, 9, 12, 16, 20, 19, 15, 8, 4, 1, 2, 3, 6, 10, 14, 17, 21,
                                      18, 11, 13));
}

TEST(RankAgreementTest, VarianceFallsThroughTheToyStack) {
  const double variances[] = {0.933333, 0.777778, 0.395062, 0.320988, 0.172840, 0.049383};
  const double ratios[] = {1, 0.833333, 0.423280, 0.343915, 0.185185, 0.052910};
  RankAgreement agreement({.first_layer = 3, .threshold = 0, .num_layers = 3});
  for (int layer = 1; layer < kLayers; ++layer) {
    ASSERT_TRUE(agreement.Reads(layer));
    EXPECT_FALSE(agreement.Observe(
        layer, ExactToyLayer::OfStack(layer).TokenScores(kWindow, kKernel), kCount));
    if (layer < 3) continue;
    EXPECT_NEAR(agreement.variance(), variances[layer - 3], 5e-7) << layer;
    EXPECT_NEAR(agreement.ratio(), ratios[layer - 3], 5e-7) << layer;
    const std::vector<std::vector<int32_t>> ranks = {RanksAt(layer - 2), RanksAt(layer - 1),
                                                     RanksAt(layer)};
    if (layer <= 4) {
      EXPECT_THAT(RankUnion(ranks, kCount), ElementsAre(0, 1, 2, 8, 9, 10, 11, 12, 13, 14));
    } else {
      EXPECT_THAT(RankUnion(ranks, kCount), ElementsAre(0, 1, 2, 8, 9, 10, 11, 12, 13));
    }
    EXPECT_THAT(
        SelectLargest(ExactToyLayer::OfStack(layer).TokenScores(kWindow, kKernel), kCount, kWindow),
        ElementsAre(0, 1, 2, 8, 9, 10, 11, 12, 13, 21, 22, 23));
  }
}

TEST(RankAgreementTest, ThresholdSaysWhereToCut) {
  const auto cut_at = [](double threshold) {
    return CutLayer({.first_layer = 3, .threshold = threshold, .num_layers = 3});
  };
  EXPECT_EQ(cut_at(0.9), 4);
  EXPECT_EQ(cut_at(0.5), 5);
  EXPECT_EQ(cut_at(0.35), 6);
  EXPECT_EQ(cut_at(0.3), 7);
  EXPECT_EQ(cut_at(0.1), 8);
  EXPECT_EQ(cut_at(0), std::nullopt);
  EXPECT_EQ(cut_at(1.5), 3);  // the first ratio is 1
  EXPECT_EQ(cut_at(1), 4);    // below, not at, the threshold
}

TEST(RankAgreementTest, NothingMovingCutsAtTheFirstLayer) {
  RankAgreement agreement({.first_layer = 1, .threshold = 0.3, .num_layers = 2});
  const std::vector<double> scores = {3, 1, 2};
  EXPECT_FALSE(agreement.Observe(0, scores, 2));
  EXPECT_TRUE(agreement.Observe(1, scores, 2));
  EXPECT_EQ(agreement.ratio(), 0);
}

TEST(RankAgreementTest, ReadsOnlyTheLayersOfItsStatistic) {
  const RankAgreement agreement({.first_layer = 10, .threshold = 0.3, .num_layers = 8});
  EXPECT_FALSE(agreement.Reads(2));
  EXPECT_TRUE(agreement.Reads(3));
  const RankAgreement from_start({.first_layer = 3, .threshold = 0.3, .num_layers = 4});
  EXPECT_TRUE(from_start.Reads(0));
}

TEST(RankAgreementTest, AsksForNoMoreTokensThanThereAre) {
  RankAgreement agreement({.first_layer = 0, .threshold = 2, .num_layers = 1});
  EXPECT_TRUE(agreement.Observe(0, std::vector<double>{1, 2}, 100));
  RankAgreement empty({.first_layer = 0, .threshold = 0.3, .num_layers = 1});
  EXPECT_TRUE(empty.Observe(0, {}, 5));
}

}  // namespace
}  // namespace fastkv
