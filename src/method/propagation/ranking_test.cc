#include "method/propagation/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(RankingTest, TiesGoToTheLowerIndexAndNanComesLast) {
  const std::vector<double> scores = {2, NAN, 5, 2, 7, 2, NAN};
  EXPECT_THAT(DescendingOrder(scores), ElementsAre(4, 2, 0, 3, 5, 1, 6));
  EXPECT_THAT(DescendingRanks(scores), ElementsAre(3, 6, 2, 4, 1, 5, 7));
  EXPECT_THAT(SelectLargest(scores, 4, 0), ElementsAre(0, 2, 3, 4));
}

TEST(RankingTest, SelectionEndsWithItsTail) {
  const std::vector<double> scores = {0.5, 3, 1};
  EXPECT_THAT(SelectLargest(scores, 1, 2), ElementsAre(1, 3, 4));
  EXPECT_THAT(SelectLargest(scores, 0, 1), ElementsAre(3));
  EXPECT_THAT(SelectLargest(scores, 3, 0), ElementsAre(0, 1, 2));
  EXPECT_THAT(SelectLargest({}, 0, 0), IsEmpty());
}

}  // namespace
}  // namespace fastkv
