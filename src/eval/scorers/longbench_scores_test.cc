#include "eval/scorers/longbench_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/scorers/classification.h"
#include "eval/scorers/number_match.h"
#include "eval/scorers/sequence_matcher.h"

namespace fastkv {
namespace {

double Classify(std::string_view prediction, std::string_view answer,
                const std::vector<std::string>& classes) {
  return ClassificationScore(prediction, answer, classes);
}

TEST(Classification, SkipsWhatFollowsARemovedClass) {
  EXPECT_DOUBLE_EQ(Classify("abc ab a", "abc", {"a", "ab", "abc"}), 0.5);
  EXPECT_DOUBLE_EQ(Classify("abc ab a", "abc", {"ab", "abc", "a"}), 1);
  EXPECT_DOUBLE_EQ(Classify("ABC", "abc", {"abc"}), 0);
  EXPECT_DOUBLE_EQ(Classify("x y", "x", {"x", "y", "z"}), 0.5);
  // A repeated class goes at its first place, which moves the walk past the second.
  EXPECT_DOUBLE_EQ(Classify("abc a", "abc", {"a", "a", "abc"}), 0.5);
}

TEST(NumberMatch, ComparesNumbersAsTexts) {
  EXPECT_DOUBLE_EQ(CountScore("There are 7 unique, not 8. 7", "7"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(CountScore("07", "7"), 0);
  EXPECT_DOUBLE_EQ(CountScore("none", "7"), 0);
  EXPECT_DOUBLE_EQ(CountScore("７ 7", "7"), 0.5);
  EXPECT_DOUBLE_EQ(RetrievalScore("Paragraph 15 or 3", "Paragraph 15", "Paragraph ").value(), 0.5);
  EXPECT_DOUBLE_EQ(RetrievalScore("4", "Paragraph x, Paragraph 4", "Paragraph ").value(), 1);
  EXPECT_DOUBLE_EQ(RetrievalScore("4", "段落4", "段落").value(), 1);
  const auto unreadable = RetrievalScore("4", "Paragraph", "Paragraph ");
  ASSERT_FALSE(unreadable.ok());
  EXPECT_THAT(unreadable.status().message(), testing::HasSubstr("'Paragraph '"));
}

TEST(CodeSimilarity, TakesTheFirstLineOfCode) {
  EXPECT_DOUBLE_EQ(CodeSimilarity("\n\n# add one\nreturn x + 1", "return x+1"), 0.91);
  EXPECT_DOUBLE_EQ(CodeSimilarity("    \nreturn x", "return x"), 0.17);
  EXPECT_EQ(FirstCodeLine("```\n// a\nb\n"), "b");
  EXPECT_EQ(FirstCodeLine("# only"), "");
  EXPECT_DOUBLE_EQ(CodeSimilarity("# only", ""), 1);
  EXPECT_DOUBLE_EQ(CodeSimilarity("# only", "x"), 0);
}

TEST(CodeSimilarity, TellsTheTwoRatiosApart) {
  EXPECT_EQ(FuzzRatio("x = foo(bar, baz)", "y = foo(baz, bar)"), 82);
  // difflib takes one long block and loses what crosses it; an LCS need not.
  EXPECT_DOUBLE_EQ(DifflibRatio(U"bbbaaa", U"aaabbb"), 0.5);
  EXPECT_DOUBLE_EQ(DifflibRatio(U"qabxcd", U"abycdf"), 2.0 * 4 / 12);
  EXPECT_DOUBLE_EQ(IndelRatio(U"qabxcd", U"abycdf"), 2.0 * 4 / 12);
  EXPECT_DOUBLE_EQ(DifflibRatio(U"ab"
                                U"xyz"
                                U"cdefg",
                                U"cdefg"
                                U"ab"),
                   2.0 * 5 / 17);
  EXPECT_DOUBLE_EQ(DifflibRatio(U"xaxbxcdd", U"abcxdd"), 2.0 * 3 / 14);
  EXPECT_DOUBLE_EQ(IndelRatio(U"xaxbxcdd", U"abcxdd"), 2.0 * 5 / 14);
}

TEST(CodeSimilarity, LeavesPopularCharactersOutOfLongTexts) {
  // 200 equal characters are all popular, so that no block begins with one; only the extension of
  // the empty block at the very beginning counts them.
  const std::u32string many(200, U'a');
  EXPECT_DOUBLE_EQ(DifflibRatio(many, many + U"b"), 2.0 * 200 / 401);
  EXPECT_DOUBLE_EQ(DifflibRatio(U"x" + many, many), 0);
  const std::u32string fewer(199, U'a');
  EXPECT_DOUBLE_EQ(DifflibRatio(U"x" + fewer, fewer), 2.0 * 199 / 399);
}

double Score(std::string_view dataset, std::string_view prediction,
             const std::vector<std::string>& answers) {
  return LongBenchScore({.dataset = dataset, .prediction = prediction, .answers = answers}).value();
}

TEST(LongBenchScores, ChooseMetricByDataSet) {
  EXPECT_EQ(LongBenchMetricOf("trec"), LongBenchMetric::kClassification);
  EXPECT_EQ(LongBenchMetricOf("qasper_e"), LongBenchMetric::kF1);
  EXPECT_EQ(LongBenchMetricOf("vcsum"), LongBenchMetric::kChineseRougeL);
  EXPECT_EQ(LongBenchMetricOf("quality"), std::nullopt);
  EXPECT_TRUE(ScoresFirstLineOnly("samsum"));
  EXPECT_FALSE(ScoresFirstLineOnly("qmsum"));
}

TEST(LongBenchScores, TakeTheBestAnswerAndTheFirstLineWhereTheyShould) {
  EXPECT_DOUBLE_EQ(Score("narrativeqa", "red house", {"green tree", "house"}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(Score("narrativeqa", "red house", {}), 0);
  EXPECT_DOUBLE_EQ(Score("narrativeqa", "house\ntree", {"house"}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(Score("triviaqa", "\n\nhouse\ntree", {"house"}), 1);
}

}  // namespace
}  // namespace fastkv
