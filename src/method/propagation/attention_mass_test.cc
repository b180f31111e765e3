#include "method/propagation/attention_mass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "method/propagation/exact_toy_layer_for_test.h"

namespace fastkv {
namespace {

std::vector<double> ToyMass() { return SumOfRows(ExactToyLayer().WindowScores(3)); }

TEST(AttentionMassTest, CountsOfTheToyLayer) {
  EXPECT_EQ(TokensHoldingMass(ToyMass(), 0.8), 10);
  EXPECT_EQ(TokensHoldingMass(ToyMass(), 0.9), 12);
  EXPECT_EQ(TokensHoldingMass(ToyMass(), 0.95), 14);
  EXPECT_EQ(TokensHoldingMass(ToyMass(), 0.99), 18);
}

TEST(AttentionMassTest, EntropyOfTheToyLayer) {
  const double entropy = AttentionEntropy(ToyMass());
  EXPECT_NEAR(entropy, 2.678513, 5e-7);
  EXPECT_NEAR(std::exp(entropy), 14.5634, 5e-5);
  EXPECT_EQ(TokensOfEntropy(entropy, 1), 14);
  EXPECT_EQ(TokensOfEntropy(entropy, 2), 29);
}

TEST(AttentionMassTest, LimitsOfTheShare) {
  const std::vector<double> scores = {0, 3, 1, 0};
  EXPECT_EQ(TokensHoldingMass(scores, 0), 0);
  EXPECT_EQ(TokensHoldingMass(scores, 0.75), 1);
  EXPECT_EQ(TokensHoldingMass(scores, 0.76), 2);
  EXPECT_EQ(TokensHoldingMass(scores, 1), 4);
  EXPECT_EQ(TokensHoldingMass(std::vector<double>{0, 0, 0}, 0.5), 3);
  EXPECT_EQ(TokensHoldingMass(std::vector<double>{1, NAN, 0}, 0.5), 3);
  EXPECT_EQ(TokensHoldingMass({}, 0.5), 0);
}

TEST(AttentionMassTest, EntropyOfFlatAndOfSingle) {
  EXPECT_NEAR(std::exp(AttentionEntropy(std::vector<double>(100, 0.25))), 100, 1e-9);
  EXPECT_EQ(AttentionEntropy(std::vector<double>{0, 7, 0}), 0);
  EXPECT_EQ(AttentionEntropy(std::vector<double>{0, 0}), 0);
  EXPECT_EQ(AttentionEntropy({}), 0);
}

TEST(AttentionMassTest, CountIsRoundedUpAndHeldBetweenItsLimits) {
  PropagatedCountParams params = {.tokens_in = 10000,
                                  .window = 8,
                                  .counted = 100,
                                  .factor = 1.5,
                                  .min_tokens = 64,
                                  .max_tokens = 3000};
  EXPECT_EQ(PropagatedCount(params), 192);  // 158 rounded up
  params.counted = 80;                      // 128 stays
  EXPECT_EQ(PropagatedCount(params), 128);
  params.min_tokens = 500;
  EXPECT_EQ(PropagatedCount(params), 500);
  params.counted = 9000;
  EXPECT_EQ(PropagatedCount(params), 3000);
  params.tokens_in = 2000;
  EXPECT_EQ(PropagatedCount(params), 2000);
}

}  // namespace
}  // namespace fastkv
