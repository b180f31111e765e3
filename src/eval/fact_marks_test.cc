#include "eval/fact_marks.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

NeedleSample SampleWithFact() {
  NeedleSample sample;
  sample.prompt = "<user> It rains. The key is 1234. Bye.";
  const size_t begin = sample.prompt.find("The");
  const size_t value = sample.prompt.find("1234");
  sample.facts = {{.begin = begin,
                   .end = sample.prompt.find(" Bye"),
                   .value_begin = value,
                   .value_end = value + 4}};
  return sample;
}

TEST(MarkFacts, FindsTheTokensThatHoldSentenceAndValue) {
  const std::vector<std::string> tokens = {"<user>", " It", " rains", ".", " The", " key", " is",
                                           " ",      "123", "4",      ".", " Bye", "."};
  const std::vector<MarkedFact> marks = MarkFacts(SampleWithFact(), tokens);
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].sentence.first, 4);
  EXPECT_EQ(marks[0].sentence.end, 11);
  EXPECT_EQ(marks[0].value.first, 8);
  EXPECT_EQ(marks[0].value.end, 10);
  EXPECT_EQ(marks[0].label, "1234");
}

TEST(MarkFacts, TakesWholeTokensWhereTheCutLiesInside) {
  const std::vector<std::string> tokens = {"<user> It rains. Th", "e key is 12", "34. Bye", "."};
  const std::vector<MarkedFact> marks = MarkFacts(SampleWithFact(), tokens);
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].sentence.first, 0);
  EXPECT_EQ(marks[0].sentence.end, 3);
  EXPECT_EQ(marks[0].value.first, 1);
  EXPECT_EQ(marks[0].value.end, 3);
}

TEST(MarkFacts, FollowsATokenizerThatAddsText) {
  const std::vector<std::string> tokens = {"<s>",          "<user>", " It rains.",
                                           " The key is ", "1234",   ". Bye."};
  const std::vector<MarkedFact> marks = MarkFacts(SampleWithFact(), tokens);
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].value.first, 4);
  EXPECT_EQ(marks[0].value.end, 5);
}

TEST(MarkFacts, LeavesOutWhatTheTokensDoNotHold) {
  const std::vector<std::string> tokens = {"something", " else"};
  EXPECT_TRUE(MarkFacts(SampleWithFact(), tokens).empty());
}

}  // namespace
}  // namespace fastkv
