#include "eval/scorers/python_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using testing::ElementsAre;

TEST(PythonText, SplitsAtItsOwnWhiteSpace) {
  EXPECT_THAT(SplitWhiteSpace("  a\tb\u3000c\x1C"
                              "d\u0085e  "),
              ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(SplitWhiteSpace("a\u200Bb\uFEFFc\u180Ed"), ElementsAre("a\u200Bb\uFEFFc\u180Ed"));
  EXPECT_THAT(SplitWhiteSpace(" \n "), ElementsAre());
  EXPECT_EQ(StripWhiteSpace("\u2003\x1F x y \u205F\n"), "x y");
  EXPECT_EQ(StripWhiteSpace(" \u3000 "), "");
}

TEST(PythonText, SplitsAtCharacters) {
  EXPECT_THAT(SplitAt("", '\n'), ElementsAre(""));
  EXPECT_THAT(SplitAt("a\n\nb\n", '\n'), ElementsAre("a", "", "b", ""));
  EXPECT_EQ(StripLeadingNewlines("\n\n \nx"), " \nx");
  EXPECT_EQ(StripLeadingNewlines("\n"), "");
  EXPECT_EQ(ReplaceBySpaces("a.b\nc", ".\n"), "a b c");
  EXPECT_EQ(SqueezeSpaces("a    b \n  c"), "a b \n c");
}

TEST(PythonText, FindsNumbers) {
  EXPECT_THAT(DecimalNumbers("x12,03 ٣४ ½ ② Ⅷ 7"), ElementsAre("12", "03", "٣४", "7"));
  EXPECT_THAT(DecimalNumbers("９9"), ElementsAre("９9"));
  EXPECT_THAT(AsciiNumbers("９9 -4.5"), ElementsAre("9", "4", "5"));
}

TEST(PythonText, ReadsIntegersAsPythonDoes) {
  EXPECT_EQ(ParsePythonInteger("42"), "42");
  EXPECT_EQ(ParsePythonInteger(" -007 "), "-7");
  EXPECT_EQ(ParsePythonInteger("+1_000"), "1000");
  EXPECT_EQ(ParsePythonInteger("１３٠"), "130");
  EXPECT_EQ(ParsePythonInteger("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(ParsePythonInteger("0_0"), "0");
  EXPECT_EQ(ParsePythonInteger("-0"), "0");
  for (const char* wrong :
       {"", "-", "+-5", "1__0", "_1", "1_", "5.0", "- 5", "\u22125", "½", "x"}) {
    EXPECT_EQ(ParsePythonInteger(wrong), std::nullopt) << wrong;
  }
}

TEST(PythonText, TellsPunctuation) {
  int num_found = 0;
  for (char32_t c = 0; c < 0x100; ++c) num_found += IsAsciiPunctuation(c) ? 1 : 0;
  EXPECT_EQ(num_found, 32);
  EXPECT_TRUE(IsAsciiPunctuation('_'));
  EXPECT_FALSE(IsAsciiPunctuation(' '));
}

}  // namespace
}  // namespace fastkv
