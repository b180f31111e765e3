#include "method/protected_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ProtectedTokensTest, SpansAreSortedMergedAndCutToThePrompt) {
  MethodConfig config;
  EXPECT_THAT(ProtectedTokens(config, 10), IsEmpty());
  config.protect_first = 3;
  config.protect_last = 2;
  config.protect = {{7, 8}, {5, 5}, {3, 4}, {6, 7}, {9, 40}, {50, 60}};
  EXPECT_THAT(ProtectedTokens(config, 10), ElementsAre(PromptSpan{0, 4}, PromptSpan{6, 10}));
  EXPECT_THAT(ProtectedTokens(config, 2), ElementsAre(PromptSpan{0, 2}));
  config.protect_last = INT64_MAX;
  EXPECT_THAT(ProtectedTokens(config, 10), ElementsAre(PromptSpan{0, 10}));
}

TEST(ProtectedTokensTest, TheTailIsNotCountedTwice) {
  const std::vector<PromptSpan> spans = {{0, 4}, {6, 10}};
  EXPECT_EQ(TokensNeeded(spans, 10, 0), 8);
  EXPECT_EQ(TokensNeeded(spans, 10, 3), 8);
  EXPECT_EQ(TokensNeeded(spans, 10, 5), 9);
  EXPECT_EQ(TokensNeeded({}, 10, 5), 0);
  EXPECT_TRUE(CheckProtectedFit(spans, 10, 3, 8, "the budget").ok());
  const Status status = CheckProtectedFit(spans, 10, 3, 7, "the budget");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("and the last 3 tokens are 8, but the budget is 7"));
}

TEST(ProtectedTokensTest, IndicesFollowWhatALayerReceived) {
  const std::vector<PromptSpan> spans = {{2, 4}, {8, 9}};
  const std::vector<ColumnSpan> whole = ReceivedIndices(spans, {});
  ASSERT_EQ(whole.size(), 2U);
  EXPECT_EQ(whole[1].begin, 8);
  const std::vector<int32_t> positions = {0, 2, 3, 7, 8, 9};
  const std::vector<ColumnSpan> received = ReceivedIndices(spans, positions);
  ASSERT_EQ(received.size(), 2U);
  EXPECT_EQ(received[0].begin, 1);
  EXPECT_EQ(received[0].end, 3);
  EXPECT_EQ(received[1].begin, 4);
  EXPECT_EQ(received[1].end, 5);
}

}  // namespace
}  // namespace fastkv
