// Each hand-written scanner against its expression in PCRE2, on text of all kinds.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "text/pre_tokenizer_pattern.h"
#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

const char* const kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const char* const kSpaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::vector<std::string> Expressions() {
  const std::string contractions = kContractions;
  const std::string spaces = kSpaces;
  const std::string cased_upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
  const std::string cased_lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  const std::string lead = R"([^\r\n\p{L}\p{N}]?)";
  const std::string cased_rest = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + spaces;
  const auto cased = [&](const std::string& tail) {
    return lead + cased_upper + "*" + cased_lower + "+" + tail + "|" + lead + cased_upper + "+" +
           cased_lower + "*" + tail;
  };
  return {
      std::string(kGpt2Expression),
      contractions + R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" + spaces,
      contractions + R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)" + spaces,
      contractions + R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)" + spaces,
      contractions + R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" +
          spaces,
      cased("") + R"(|\p{N})" + cased_rest,
      cased(contractions + "?") + R"(|\p{N}{1,3})" + cased_rest,
      R"(\p{N}{1,3})",
      R"(\p{N})",
      "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
      R"(| ?[\p{P}\p{S}]+[\r\n]*)" +
          spaces,
  };
}

std::vector<PatternMatch> AllMatches(const TextPattern& pattern, std::string_view text) {
  PatternScratch scratch;
  scratch.StartText(text.size());
  std::vector<PatternMatch> matches;
  size_t from = 0;
  PatternMatch match;
  while (from < text.size()) {
    const Result<bool> found = pattern.FindNext(text, from, scratch, match);
    EXPECT_TRUE(found.ok()) << found.status().message();
    if (!found.ok() || !*found || match.end <= from) break;
    matches.push_back(match);
    from = match.end;
  }
  return matches;
}

// The class of a character as PCRE2 sees it: the two libraries know different versions of Unicode,
// and characters new in one of them prove nothing.
class SameProperties {
 public:
  SameProperties() {
    for (const char* name : {"L", "N", "M", "P", "S"}) {
      Add("\\p{" + std::string(name) + "}");
    }
    Add("[\\p{Lu}\\p{Lt}]");
    Add("\\p{Ll}");
  }

  bool Holds(char32_t c) {
    constexpr int kMasks[] = {kClassLetter, kClassNumber, kClassMark, kClassPunctuation,
                              kClassSymbol, kClassUpper,  kClassLower};
    std::string text;
    AppendUtf8(c, text);
    scratch_.StartText(0);
    for (size_t i = 0; i < patterns_.size(); ++i) {
      PatternMatch match;
      const bool there = *patterns_[i]->FindNext(text, 0, scratch_, match);
      if (there != ((CharacterClasses::Get()[c] & kMasks[i]) != 0)) return false;
    }
    return true;
  }

 private:
  void Add(const std::string& expression) {
    patterns_.push_back(MakeRegexPattern(expression).value());
  }

  std::vector<std::unique_ptr<TextPattern>> patterns_;
  PatternScratch scratch_;
};

std::string RandomText(Random& random, SameProperties& same) {
  static const std::vector<std::string> kParts = {
      " ",          "  ",      "\n",     "\r\n",   "\t",     "\r",     "'",      "'s",
      "'S",         "'\u017f", "'ll",    "'Ve",    "'t",     "'re",    "a",      "B",
      "Z",          "word",    "Word",   "1",      "23",     "4567",   "\u0663", "\u216b",
      "!",          "?!",      "/",      "//",     ".",      "_",      "\u00e9", "e\u0301",
      "\u0301",     "\u4e2d",  "\u3042", "\u30fb", "\u01c5", "\u02b0", "\u00a0", "\u2003",
      "\u3000",     "\u0085",  "\u2028", "\u200b", "\ufeff", "\x1c",   "\x01",   "\u180e",
      "\U0001F600", "\u20ac",  "<",      "|",      ">",      "\u05d0", "\u00df", "DON'T",
      "camelCase"};
  std::string text;
  for (int64_t i = random.NextInt(14); i >= 0; --i) {
    if (random.NextInt(8) > 0) {
      text += kParts[static_cast<size_t>(random.NextInt(static_cast<int64_t>(kParts.size())))];
      continue;
    }
    const auto c = static_cast<char32_t>(random.NextInt(0x20000));
    if ((c < 0xD800 || c >= 0xE000) && same.Holds(c)) AppendUtf8(c, text);
  }
  return text;
}

TEST(PreTokenizerScannerTest, AgreesWithTheExpression) {
  SameProperties same;
  Random random(3);
  std::vector<std::string> texts;
  for (int i = 0; i < 6'000; ++i) texts.push_back(RandomText(random, same));
  for (const std::string& expression : Expressions()) {
    const std::unique_ptr<TextPattern> scanner = MakeScanner(expression);
    ASSERT_NE(scanner, nullptr) << expression;
    const auto regex = MakeRegexPattern(expression);
    ASSERT_TRUE(regex.ok()) << regex.status().message();
    for (const std::string& text : texts) {
      const std::vector<PatternMatch> expected = AllMatches(**regex, text);
      const std::vector<PatternMatch> actual = AllMatches(*scanner, text);
      ASSERT_EQ(actual.size(), expected.size()) << expression << "\non \"" << text << "\"";
      for (size_t i = 0; i < actual.size(); ++i) {
        ASSERT_EQ(actual[i].begin, expected[i].begin) << expression << "\non \"" << text << "\"";
        ASSERT_EQ(actual[i].end, expected[i].end) << expression << "\non \"" << text << "\"";
      }
    }
  }
}

TEST(PreTokenizerScannerTest, OtherExpressionsHaveNone) {
  EXPECT_EQ(MakeScanner(R"(\p{L}+)"), nullptr);
  EXPECT_EQ(MakeScanner(""), nullptr);
  EXPECT_EQ(MakeScanner(std::string(kGpt2Expression) + " "), nullptr);
}

// Texts that would take quadratic time if a scanner looked again at what it has passed.
TEST(PreTokenizerScannerTest, LongRunsAreCutInLinearTime) {
  const std::vector<std::string> units = {"a", "A", " ",      " \n", "\u4e2dA",
                                          "1", "'", "\u0301", " !"};
  for (const std::string& expression : Expressions()) {
    const std::unique_ptr<TextPattern> scanner = MakeScanner(expression);
    for (const std::string& unit : units) {
      std::string text;
      while (text.size() < 1'000'000) text += unit;
      text += "x";
      size_t covered = 0;
      for (const PatternMatch& match : AllMatches(*scanner, text)) {
        ASSERT_LE(covered, match.begin);
        covered = match.end;
      }
      ASSERT_LE(covered, text.size());
    }
  }
}

}  // namespace
}  // namespace fastkv
