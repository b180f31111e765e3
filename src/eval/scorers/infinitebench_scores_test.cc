#include "eval/scorers/infinitebench_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/scorers/infinitebench_choice.h"

namespace fastkv {
namespace {

Json Parsed(std::string_view text) { return ParseJson(text).value(); }

TEST(InfiniteBenchScores, UnwrapSingleLabels) {
  EXPECT_EQ(FirstIntegerScore("is 00123 x", Parsed(R"(["00123"])")).value(), 1);
  EXPECT_EQ(FirstIntegerScore("is 123", Parsed(R"("00123")")).value(), 0);
  EXPECT_EQ(FirstIntegerScore("123", Parsed("123")).value(), 1);
  EXPECT_EQ(KeyValueScore("{\"a-b\": \"c-d\"}", Parsed(R"(["c-d"])")).value(), 1);
  EXPECT_EQ(KeyValueScore("c-de", Parsed(R"("c-d")")).value(), 0);
}

TEST(InfiniteBenchScores, CompareNumbersByKind) {
  EXPECT_EQ(CodeRunScore("The result: `-12`.", Parsed("-12")).value(), 1);
  EXPECT_EQ(CodeRunScore("-12 it is", Parsed("-12")).value(), 0);
  EXPECT_EQ(CodeRunScore("3", Parsed("3.0")).value(), 1);
  EXPECT_EQ(CodeRunScore("3", Parsed(R"(["3"])")).value(), 1);
  EXPECT_EQ(MathFindScore("x 3.50", Parsed("3.5")).value(), 1);
  EXPECT_EQ(MathFindScore("3.0", Parsed("3")).value(), 0);
  EXPECT_EQ(MathFindScore("3.0", Parsed("3.0")).value(), 1);
  EXPECT_EQ(MathFindScore("003.", Parsed("3")).value(), 1);
  EXPECT_EQ(MathFindScore("1,234", Parsed("1")).value(), 1);
  EXPECT_EQ(MathFindScore("８.５", Parsed("8.5")).value(), 1);
  EXPECT_EQ(MathFindScore("none", Parsed("1")).value(), 0);
}

TEST(InfiniteBenchScores, CountTheRightPrefix) {
  EXPECT_DOUBLE_EQ(MathCalcScore("[1, 2, 9, 4]", Parsed("[1,2,3,4]"), false).value(), 0.5);
  EXPECT_DOUBLE_EQ(MathCalcScore("[7, 1, 2]", Parsed("[[1,2]]"), true).value(), 1);
  EXPECT_DOUBLE_EQ(MathCalcScore("-5", Parsed("[-5]"), false).value(), 0);  // the sign is lost
  EXPECT_DOUBLE_EQ(MathCalcScore("", Parsed("[1]"), true).value(), 0);
}

TEST(InfiniteBenchScores, LookForTheFirstName) {
  const Json names = Parsed(R"(["ANN","BOB"])");
  EXPECT_EQ(DialogueNameScore("it is ann.", names, false).value(), 1);
  EXPECT_EQ(DialogueNameScore("Bob", names, false).value(), 0);
  EXPECT_EQ(DialogueNameScore("Bob", names, true).value(), 1);
  EXPECT_EQ(DialogueNameScore("ann", Parsed(R"("ANN")"), false).value(), 1);
}

TEST(InfiniteBenchScores, RefuseLabelsOfAnotherKind) {
  EXPECT_EQ(FirstIntegerScore("1", Parsed(R"(["1","2"])")).status().code(), StatusCode::kFormat);
  EXPECT_EQ(KeyValueScore("1", Parsed("{}")).status().code(), StatusCode::kFormat);
  EXPECT_EQ(CodeRunScore("1", Parsed(R"("one")")).status().code(), StatusCode::kFormat);
  EXPECT_EQ(MathCalcScore("1", Parsed("[]"), false).status().code(), StatusCode::kFormat);
  EXPECT_EQ(MathCalcScore("1", Parsed("5"), false).status().code(), StatusCode::kFormat);
  EXPECT_EQ(DialogueNameScore("1", Parsed("[1]"), false).status().code(), StatusCode::kFormat);
}

TEST(InfiniteBenchChoice, DerivesTheLetterFromThePlace) {
  const std::vector<std::string> options = {"w", "x", "y", "z", "v"};
  EXPECT_EQ(ChoiceLabelOf(Parsed(R"("y")"), options)->letter, "C");
  EXPECT_EQ(ChoiceLabelOf(Parsed(R"(["w"])"), options)->letter, "A");
  EXPECT_EQ(ChoiceLabelOf(Parsed(R"(["w","D"])"), options)->letter, "D");
  for (const char* wrong : {R"("v")", R"("q")", R"(["w","x"])", R"([])", "3", R"(["w","A","B"])"}) {
    EXPECT_EQ(ChoiceLabelOf(Parsed(wrong), options).status().code(), StatusCode::kFormat) << wrong;
  }
}

TEST(InfiniteBenchChoice, ReadsAnswersAboutBooks) {
  const ChoiceLabel label{.text = "red rose", .letter = "B"};
  for (const char* right : {"B", "B. x", "Based on it", "red rose", "the answer is: B",
                            "answer: \"red rose\"", "so B it is"}) {
    EXPECT_EQ(BookChoiceScore(right, label), 1) << right;
  }
  for (const char* wrong :
       {"", "A rose", "C", "the answer is C, not B", "the answer is:", "so BC then B", "rose"}) {
    EXPECT_EQ(BookChoiceScore(wrong, label), 0) << wrong;
  }
}

TEST(InfiniteBenchChoice, ReadsAnswersAboutCode) {
  const ChoiceLabel label{.text = "add_all", .letter = "C"};
  for (const char* right : {"C.", "C: add_all", "The answer is: C", "this: add_all",
                            "The correct option is: Option C", "answer is:`add_all`"}) {
    EXPECT_EQ(CodeDebugScore(right, label), 1) << right;
  }
  for (const char* wrong : {"C", "add_all", "answer is C", "The answer is:", "B.", ""}) {
    EXPECT_EQ(CodeDebugScore(wrong, label), 0) << wrong;
  }
}

}  // namespace
}  // namespace fastkv
