#include "method/propagation/layer_votes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "method/propagation/exact_toy_layer_for_test.h"
#include "method/propagation/ranking.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kWindow = 3;
constexpr int kKernel = 3;

std::vector<double> VotesOfStack(int last_layer, int num_layers, const LayerVotesOptions& options) {
  LayerVotes votes;
  for (int layer = last_layer - num_layers + 1; layer <= last_layer; ++layer) {
    votes.Add(LayerVote(ExactToyLayer::OfStack(layer).GroupScores(kWindow, kKernel),
                        ExactToyLayer::kKvHeads, options));
  }
  return {votes.scores().begin(), votes.scores().end()};
}

void ExpectStartsWith(const std::vector<double>& scores, std::initializer_list<double> expected) {
  size_t j = 0;
  for (const double value : expected) EXPECT_NEAR(scores[j++], value, 5e-7);
}

TEST(LayerVotesTest, StandardScoresOfTheToyStack) {
  const std::vector<double> at_3 = VotesOfStack(3, 2, {});
  ExpectStartsWith(at_3, {1.035428, 1.645649, 0.877752, -0.000957});
  EXPECT_THAT(SelectLargest(at_3, 12 - kWindow, kWindow),
              ElementsAre(0, 1, 2, 8, 9, 10, 11, 12, 13, 21, 22, 23));
  const std::vector<double> at_1 = VotesOfStack(1, 2, {});
  ExpectStartsWith(at_1, {0.637753, 1.230913, 0.614091, -0.159939});
  EXPECT_THAT(SelectLargest(at_1, 12 - kWindow, 0), ElementsAre(0, 1, 2, 9, 10, 11, 12, 13, 14));
}

TEST(LayerVotesTest, PlainScoresOfTheToyStack) {
  const std::vector<double> scores = VotesOfStack(3, 2, {.standard_scores = false});
  ExpectStartsWith(scores, {0.522542, 0.678088, 0.482350, 0.258367});
  EXPECT_THAT(SelectLargest(scores, 12 - kWindow, 0), ElementsAre(0, 1, 2, 9, 10, 11, 12, 13, 14));
}

TEST(LayerVotesTest, OneLayerWithHeadsAddedIsFastKvs) {
  for (int layer = 0; layer < 6; ++layer) {
    EXPECT_EQ(VotesOfStack(layer, 1, {.standard_scores = false, .add_heads = true}),
              ExactToyLayer::OfStack(layer).TokenScores(kWindow, kKernel));
  }
}

TEST(LayerVotesTest, DegenerateRowsStayFinite) {
  EXPECT_THAT(LayerVote(std::vector<double>{4, 4, 4}, 1, {}), ElementsAre(0, 0, 0));
  EXPECT_THAT(LayerVote(std::vector<double>{4, 5}, 2, {}), ElementsAre(0));
  EXPECT_THAT(LayerVote({}, 2, {}), IsEmpty());
}

}  // namespace
}  // namespace fastkv
