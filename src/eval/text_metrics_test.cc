#include "eval/text_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TextMetrics, BrokenBytesAreReplaced) {
  EXPECT_EQ(ValidUtf8("plain"), "plain");
  EXPECT_EQ(ValidUtf8("a\xc3"), "a\xef\xbf\xbd");
  EXPECT_EQ(ValidUtf8("\xff\xfeä"), "\xef\xbf\xbd\xef\xbf\xbdä");
}

TEST(TextMetrics, LowerCaseIsPythons) {
  EXPECT_EQ(PythonLower("AbC Ä"), "abc ä");
  EXPECT_EQ(PythonLower("ΟΔΟΣ ΟΔΟΣA"), "οδος οδοσa") << "final sigma at the end of a word alone";
  EXPECT_EQ(PythonLower("\u0130"), "i\u0307");
  EXPECT_EQ(PythonLower("\u212a"), "k") << "the Kelvin sign";
}

TEST(TextMetrics, WhiteSpaceIsPythons) {
  EXPECT_THAT(PythonSplit(" a\u00a0b\x1c"
                          "c\u3000d\n"),
              ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(PythonSplit("a\u200bb"), ElementsAre("a\u200bb"));
  EXPECT_THAT(PythonSplit(" \t"), IsEmpty());
  EXPECT_EQ(PythonStrip("\u2003 a b\x1f\n"), "a b");
  EXPECT_EQ(PythonStrip(" \n"), "");
}

TEST(TextMetrics, CoverageCountsDistinctWords) {
  const char* expected = "eat a sandwich and sit in Dolores Park on a sunny day.";
  EXPECT_EQ(NeedleWordCoverage(expected, expected), 1);
  EXPECT_DOUBLE_EQ(
      NeedleWordCoverage("Eat A SANDWICH and sit in dolores park on a sunny day", expected),
      10.0 / 11);
  EXPECT_DOUBLE_EQ(NeedleWordCoverage("sit sit sit", expected), 1.0 / 11);
  EXPECT_EQ(NeedleWordCoverage("", expected), 0);
  EXPECT_EQ(NeedleWordCoverage("anything", " "), 0);
}

}  // namespace
}  // namespace fastkv
