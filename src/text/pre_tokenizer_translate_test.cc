#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/pre_tokenizer_pattern.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

TEST(PreTokenizerTranslateTest, RewritesWhatWouldMeanSomethingElse) {
  const auto expect = [](std::string_view from, std::string_view to) {
    const Result<std::string> result = TranslateExpression(from);
    ASSERT_TRUE(result.ok()) << from << ": " << result.status().message();
    EXPECT_EQ(*result, to);
  };
  expect(R"(\s+(?!\S)|[^\s\p{L}]?)",
         R"(\p{White_Space}+(?!\P{White_Space})|[^\p{White_Space}\p{L}]?)");
  expect(R"(\w[\w'])", R"([\p{L}\p{M}\p{Nd}\p{Pc}][\p{L}\p{M}\p{Nd}\p{Pc}'])");
  expect(R"(\p{Han}\P{^Han}\p{^Lu})", R"(\p{sc:Han}\p{sc:Han}\P{Lu})");
  expect(R"(\u4e00\x41\x{1F600}\v)", R"(\x{4e00}\x{41}\x{1F600}\x{0B})");
  expect(R"(a{,3}b{2}c{1,}d?+)", R"(a{0,3}b{2}c{1,}d?+)");
  expect(R"([\[\]&a-]\.(?i:x)(?<=y)(?>z))", R"([\[\]&a-]\.(?i:x)(?<=y)(?>z))");
}

TEST(PreTokenizerTranslateTest, RefusesWhatHasNoCounterpart) {
  for (const char* expression :
       {R"([a&&b])", R"([a[b]])", R"([[:alpha:]])", R"(\h)",    R"(\R)",         R"(\X)",
        R"(\K)",     R"(\G)",     R"(\bx)",         R"((?m)x)", R"((?<name>x))", R"((*ACCEPT))",
        R"(x{2}+)",  R"(x{,})",   R"(x{)",          R"([])",    R"([\W])",       R"(\p{Lu)",
        R"(\pL)",    R"(\x4)",    R"(\)",           R"(\g<1>)", R"((?R))",       R"(\p{a b})"}) {
    const Result<std::string> result = TranslateExpression(expression);
    ASSERT_FALSE(result.ok()) << expression;
    EXPECT_EQ(result.status().code(), StatusCode::kUnsupported) << expression;
    EXPECT_THAT(result.status().message(), HasSubstr("at byte ")) << expression;
  }
}

TEST(PreTokenizerRegexTest, BrokenExpressionsAreRefused) {
  for (const char* expression : {"(", "a)", "[a", "*a", R"(\p{sc_nothing})", "[z-a]"}) {
    EXPECT_FALSE(MakeRegexPattern(expression).ok()) << expression;
  }
  EXPECT_EQ(MakeRegexPattern(std::string(100'000, 'a')).status().code(), StatusCode::kLimit);
  EXPECT_FALSE(MakeRegexPattern(std::string(10'000, '(') + std::string(10'000, ')')).ok());
}

TEST(PreTokenizerRegexTest, WhiteSpaceIsUnicodes) {
  const auto spaces = MakeRegexPattern(R"(\s)").value();
  PatternScratch scratch;
  scratch.StartText(0);
  PatternMatch match;
  for (const char* text : {"\u0085", "\u00a0", "\u2028", "\u3000", "\t", " "}) {
    EXPECT_TRUE(*spaces->FindNext(text, 0, scratch, match)) << text;
  }
  for (const char* text : {"\u200b", "\ufeff", "\x1c", "\x1f", "\u180e", "a"}) {
    EXPECT_FALSE(*spaces->FindNext(text, 0, scratch, match)) << text;
  }
}

TEST(PreTokenizerRegexTest, CatastrophicBacktrackingEndsInAnError) {
  const auto pattern = MakeRegexPattern("^(?:a|aa)+$").value();
  PatternScratch scratch;
  const std::string text = std::string(5000, 'a') + "b";
  scratch.StartText(text.size());
  PatternMatch match;
  const Result<bool> found = pattern->FindNext(text, 0, scratch, match);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), StatusCode::kLimit);
}

TEST(PreTokenizerRegexTest, LookingFarAheadFromEveryPlaceEndsInAnErrorToo) {
  const auto pattern = MakeRegexPattern("[ab]+?[cd]").value();
  PatternScratch scratch;
  const std::string text(1'000'000, 'a');
  scratch.StartText(0);
  PatternMatch match;
  const Result<bool> found = pattern->FindNext(text, 0, scratch, match);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), StatusCode::kLimit);
}

TEST(PreTokenizerRegexTest, AMatchFarAwayIsFound) {
  const auto pattern = MakeRegexPattern("(?<=\u00e9)x|y").value();
  PatternScratch scratch;
  for (size_t length = 0; length < 70; ++length) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += "\u00e9";
    text += "xy";
    scratch.StartText(text.size());
    PatternMatch match;
    ASSERT_TRUE(*pattern->FindNext(text, 0, scratch, match)) << length;
    EXPECT_EQ(match.begin, length == 0 ? 1 : 2 * length);
    EXPECT_FALSE(*pattern->FindNext(text, text.size(), scratch, match));
  }
}

}  // namespace
}  // namespace fastkv
