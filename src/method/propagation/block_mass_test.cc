#include "method/propagation/block_mass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "method/propagation/exact_toy_layer_for_test.h"

namespace fastkv {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr BlockMassOptions kToyOptions = {.block_tokens = 4, .sinks = 4, .window = 4, .mass = 0.5};

std::vector<double> ToyScores() { return SumOfRows(ExactToyLayer().ColumnSums(4)); }

TEST(BlockMassTest, SharesOfTheToyLayer) {
  const std::vector<double> shares = BlockShares(ToyScores(), 4);
  const double expected[] = {0.172558, 0.063156, 0.322068, 0.163428, 0.071548, 0.207242};
  ASSERT_THAT(shares, SizeIs(6));
  for (int g = 0; g < 6; ++g) EXPECT_NEAR(shares[g], expected[g], 5e-7);
}

TEST(BlockMassTest, TheBlockThatCrossesTheMassIsKept) {
  const std::vector<double> shares = BlockShares(ToyScores(), 4);
  EXPECT_THAT(BlocksHoldingMass(shares, 0.5), ElementsAre(2, 5));
  EXPECT_THAT(BlocksHoldingMass(shares, 0.8), ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(BlocksHoldingMass(shares, 0.9), ElementsAre(0, 2, 3, 4, 5));
  EXPECT_THAT(BlocksHoldingMass(shares, 0), ElementsAre(2));
}

TEST(BlockMassTest, SinksAndWindowAlwaysGoOn) {
  BlockMassOptions options = kToyOptions;
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options),
              ElementsAre(0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23));
  options.mass = 0.8;
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options), SizeIs(16));
  options.mass = 0.9;
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options), SizeIs(20));
  options = {.block_tokens = 4, .sinks = 2, .window = 3, .mass = 0};
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options), ElementsAre(0, 1, 8, 9, 10, 11, 21, 22, 23));
}

TEST(BlockMassTest, AllMassOrAShortPromptKeepsEverything) {
  BlockMassOptions options = kToyOptions;
  options.mass = 1;
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options), SizeIs(24));
  options = {.block_tokens = 4, .sinks = 12, .window = 12, .mass = 0};
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options), SizeIs(24));
  options.window = 11;
  EXPECT_THAT(SelectByBlockMass(ToyScores(), options), SizeIs(23));
}

TEST(BlockMassTest, OfThePastAloneTheEdgesCountNothing) {
  std::vector<double> scores(40, 0.0);
  scores[0] = 90;   // a sink
  scores[39] = 90;  // the window
  scores[12] = 6;
  scores[21] = 4;
  BlockMassOptions options = {.block_tokens = 4, .sinks = 4, .window = 4, .mass = 0.5};
  EXPECT_THAT(SelectByBlockMass(scores, options), ElementsAre(0, 1, 2, 3, 36, 37, 38, 39));
  options.past_only = true;
  EXPECT_THAT(SelectByBlockMass(scores, options),
              ElementsAre(0, 1, 2, 3, 12, 13, 14, 15, 36, 37, 38, 39));
}

TEST(BlockMassTest, TiesGoToTheLowerBlockAndALastBlockMayBeShort) {
  const std::vector<double> flat(10, 1.0);
  EXPECT_THAT(BlockShares(flat, 4), ElementsAre(DoubleEq(0.4), DoubleEq(0.4), DoubleEq(0.2)));
  EXPECT_THAT(BlocksHoldingMass(BlockShares(flat, 4), 0.3), ElementsAre(0));
  EXPECT_THAT(BlocksHoldingMass(BlockShares(flat, 4), 0.5), ElementsAre(0, 1));
}

TEST(BlockMassTest, WhatCannotBeRankedIsKept) {
  EXPECT_THAT(BlocksHoldingMass(std::vector<double>{0, 0}, 0.1), ElementsAre(0, 1));
  EXPECT_THAT(BlocksHoldingMass(std::vector<double>{0.5, NAN}, 0.1), ElementsAre(0, 1));
  EXPECT_THAT(BlockShares({}, 4), IsEmpty());
  EXPECT_THAT(BlocksHoldingMass({}, 0.5), IsEmpty());
}

}  // namespace
}  // namespace fastkv
