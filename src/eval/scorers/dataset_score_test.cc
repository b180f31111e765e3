#include "eval/scorers/dataset_score.h"

#include <gtest/gtest.h>

#include <vector>

namespace fastkv {
namespace {

TEST(DatasetScore, RoundsTheExactValue) {
  EXPECT_EQ(DatasetScore(std::vector<double>{1, 0, 0}), 33.33);
  EXPECT_EQ(DatasetScore(std::vector<double>{0.02675}), 2.67);  // 2.675 is a little less than that
  EXPECT_EQ(DatasetScore(std::vector<double>{0.5}), 50);
  EXPECT_EQ(DatasetScore(std::vector<double>{0.00125}), 0.12);  // half to even: 0.125 is exact
}

TEST(LongBenchE, ScalesBeforeItRounds) {
  const std::vector<SizedScore> scores = {{0.02675, 3999}, {1, 4000},     {0, 7999},
                                          {0, 4001},       {0.00125, 20}, {0.00125, 21}};
  const auto means = LongBenchEScores(scores);
  EXPECT_EQ(*means[0], 0.98);  // 0.975
  EXPECT_EQ(*means[1], 33.33);
  EXPECT_FALSE(means[2].has_value());
  EXPECT_EQ(*LongBenchEScores(std::vector<SizedScore>{{0.02675, 8000}})[2], 2.68);
}

}  // namespace
}  // namespace fastkv
