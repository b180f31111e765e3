#include "method/propagation/query_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "method/propagation/exact_toy_layer_for_test.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<double> ToyQueryScores() {
  const ExactToyLayer layer;
  std::vector<double> scores(ExactToyLayer::kTokens);
  for (int j = 0; j < ExactToyLayer::kTokens; ++j) {
    for (int head = 0; head < ExactToyLayer::kQueryHeads; ++head) {
      scores[j] += layer.Logit(head, ExactToyLayer::kTokens - 1, j) / ExactToyLayer::kQueryHeads;
    }
  }
  return scores;
}

TEST(QuerySelectionTest, ScoresOfTheToyLayer) {
  const std::vector<double> scores = ToyQueryScores();
  const double expected[] = {3.214395, 3.219501, 2.341222, 0.820545};
  for (int j = 0; j < 4; ++j) EXPECT_NEAR(scores[j], expected[j], 5e-7);
  const std::vector<double> pooled = PooledQueryScores(scores, 5);
  const double expected_pooled[] = {1.755024, 1.919133, 1.734077, 0.607754};
  for (int j = 0; j < 4; ++j) EXPECT_NEAR(pooled[j], expected_pooled[j], 5e-7);
}

TEST(QuerySelectionTest, KeepsTheBestAndTheLast) {
  EXPECT_THAT(SelectByQuery(ToyQueryScores(), 8, 5), ElementsAre(0, 1, 2, 10, 11, 12, 13, 14, 23));
  EXPECT_THAT(SelectByQuery(ToyQueryScores(), 0, 5), ElementsAre(23));
}

TEST(QuerySelectionTest, TheLastTokensOwnScoreCountsNothing) {
  const std::vector<double> scores = {1, 2, 3, 1000};
  EXPECT_THAT(PooledQueryScores(scores, 3), ElementsAre(1, 2, 5.0 / 3, 1));
  EXPECT_THAT(SelectByQuery(scores, 1, 1), ElementsAre(2, 3));
}

TEST(QuerySelectionTest, ShortPromptsKeepEverything) {
  EXPECT_THAT(SelectByQuery(std::vector<double>{4, 5}, 10, 5), ElementsAre(0, 1));
  EXPECT_THAT(SelectByQuery(std::vector<double>{4}, 10, 5), ElementsAre(0));
  EXPECT_THAT(SelectByQuery({}, 10, 5), IsEmpty());
}

}  // namespace
}  // namespace fastkv
