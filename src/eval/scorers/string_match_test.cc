#include "eval/scorers/string_match.h"

#include <gtest/gtest.h>

#include <vector>

#include "eval/scorers/coverage.h"

namespace fastkv {
namespace {

double All(std::string_view prediction, const std::vector<std::string>& references) {
  return StringMatchAll(prediction, references);
}
double Part(std::string_view prediction, const std::vector<std::string>& references) {
  return StringMatchPart(prediction, references);
}

TEST(StringMatch, FindsReferencesAnywhere) {
  EXPECT_DOUBLE_EQ(All("ABC and 91234", {"abc", "123", "xyz", ""}), 0.75);
  EXPECT_DOUBLE_EQ(All("anything", {}), 0);
  EXPECT_EQ(Part("the ROSE", {"tulip", "rose"}), 1);
  EXPECT_EQ(Part("the", {"tulip", "rose"}), 0);
  EXPECT_EQ(Part("the", {}), 0);
  // Lower case depends on what follows: the reference ends a word, in the prediction it does not.
  EXPECT_EQ(Part("ΟΔΟΣΑ", {"ΟΔΟΣ"}), 0);
}

TEST(StringMatch, CleansPredictions) {
  EXPECT_EQ(CleanRulerPrediction(" \x1C"
                                 "a\tb\x07 "),
            "a\nb");
  EXPECT_EQ(CleanRulerPrediction(std::string("\0x\0", 3)), "x");
  EXPECT_EQ(CleanRulerPrediction("\x01\x02"), "");
}

TEST(WordCoverage, CountsDistinctWords) {
  EXPECT_DOUBLE_EQ(WordCoverage("Eat a sandwich", "eat a a sandwich."), 2.0 / 3);
  const char* expected = "eat a sandwich and sit in Dolores Park on a sunny day.";
  EXPECT_EQ(WordCoverage(expected, expected), 1);
  EXPECT_DOUBLE_EQ(WordCoverage("Eat A SANDWICH and sit in dolores park on a sunny day", expected),
                   10.0 / 11);
  EXPECT_DOUBLE_EQ(WordCoverage("sit sit sit", expected), 1.0 / 11);
  EXPECT_DOUBLE_EQ(WordCoverage("", "a"), 0);
  EXPECT_DOUBLE_EQ(WordCoverage("a", ""), 0);
}

}  // namespace
}  // namespace fastkv
