#include "eval/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace fastkv {
namespace {

using Groups = std::vector<std::vector<double>>;

// The exact distribution of the resampled mean of 0/1 scores: the number of ones is binomial. The
// share of resamples at or below k ones of n, each a one with probability p.
double BinomialShare(int64_t k, int64_t n, double p) {
  double share = 0;
  double choose = 1;
  for (int64_t i = 0; i <= k; ++i) {
    share += choose * std::pow(p, i) * std::pow(1 - p, n - i);
    choose *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return share;
}

TEST(Bootstrap, ZerosAndOnesFollowTheBinomialDistribution) {
  for (const auto& [num_ones, num_scores] :
       {std::pair(12, 16), std::pair(40, 50), std::pair(5, 64)}) {
    std::vector<double> scores(static_cast<size_t>(num_scores), 0.0);
    std::fill_n(scores.begin(), num_ones, 1.0);
    const MeanInterval interval = BootstrapMean(Groups{scores}, 1);
    const double p = static_cast<double>(num_ones) / num_scores;
    EXPECT_DOUBLE_EQ(interval.mean, p);
    // Within 1 % of the share that lies below; a thousand resamples have a standard error of 0.5 %.
    const auto ones_at = [&](double mean) { return std::llround(mean * num_scores); };
    EXPECT_LE(BinomialShare(ones_at(interval.low) - 1, num_scores, p), 0.025 + 0.015);
    EXPECT_GE(BinomialShare(ones_at(interval.low), num_scores, p), 0.025 - 0.015);
    EXPECT_LE(BinomialShare(ones_at(interval.high) - 1, num_scores, p), 0.975 + 0.015);
    EXPECT_GE(BinomialShare(ones_at(interval.high), num_scores, p), 0.975 - 0.015);
  }
}

TEST(Bootstrap, ManyScoresComeNearTheNormalInterval) {
  Random random(7);
  std::vector<double> scores(400);
  double sum = 0;
  double sum_of_squares = 0;
  for (double& score : scores) {
    score = random.NextDouble();
    sum += score;
    sum_of_squares += score * score;
  }
  const double mean = sum / 400;
  const double error = std::sqrt((sum_of_squares / 400 - mean * mean) / 400);
  const MeanInterval interval = BootstrapMean(Groups{scores}, 3);
  EXPECT_NEAR(interval.mean, mean, 1e-12);
  EXPECT_NEAR(interval.low, mean - 1.96 * error, 0.2 * error);
  EXPECT_NEAR(interval.high, mean + 1.96 * error, 0.2 * error);
}

TEST(Bootstrap, GroupsCountTheSameWhateverTheirSize) {
  const Groups groups = {std::vector<double>(100, 1.0), std::vector<double>(2, 0.0)};
  const MeanInterval interval = BootstrapMean(groups, 1);
  EXPECT_EQ(interval.mean, 0.5);
  EXPECT_EQ(interval.low, 0.5);
  EXPECT_EQ(interval.high, 0.5);
}

TEST(Bootstrap, TheSeedDecides) {
  const Groups groups = {{0, 1, 0.5, 0.25, 1, 1, 0}, {0.3, 0.1, 0.7}};
  const MeanInterval first = BootstrapMean(groups, 5);
  const MeanInterval again = BootstrapMean(groups, 5);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  const MeanInterval other = BootstrapMean(groups, 6);
  EXPECT_NEAR(first.low, other.low, 0.05);
  EXPECT_TRUE(first.low != other.low || first.high != other.high);
}

}  // namespace
}  // namespace fastkv
