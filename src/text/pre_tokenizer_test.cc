#include "text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Collector final : public PieceSink {
 public:
  void Take(std::string_view piece) override { pieces.emplace_back(piece); }
  std::vector<std::string> pieces;
};

std::vector<std::string> Cut(const std::vector<PreTokenizerSpec>& specs, std::string_view text,
                             bool at_text_start = true) {
  const Result<PreTokenizer> pre_tokenizer = PreTokenizer::Create(specs);
  EXPECT_TRUE(pre_tokenizer.ok()) << pre_tokenizer.status().message();
  PatternScratch scratch;
  scratch.StartText(text.size());
  Collector collector;
  const Status status = pre_tokenizer->Cut(text, at_text_start, scratch, collector);
  EXPECT_TRUE(status.ok()) << status.message();
  return collector.pieces;
}

PreTokenizerSpec Split(std::string pattern, SplitBehavior behavior, bool invert = false) {
  PreTokenizerSpec spec;
  spec.pattern = {false, std::move(pattern)};
  spec.behavior = behavior;
  spec.invert = invert;
  return spec;
}

TEST(PreTokenizerTest, SplitBehaviors) {
  const std::string text = "-a--b-";
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kRemoved)}, text), ElementsAre("a", "b"));
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kIsolated)}, text),
              ElementsAre("-", "a", "-", "-", "b", "-"));
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kMergedWithPrevious)}, text),
              ElementsAre("-", "a-", "-", "b-"));
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kMergedWithNext)}, text),
              ElementsAre("-a", "-", "-b", "-"));
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kContiguous)}, text),
              ElementsAre("-", "a", "--", "b", "-"));
}

TEST(PreTokenizerTest, InvertExchangesMatchesAndGaps) {
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kRemoved, true)}, "-a--b-"),
              ElementsAre("-", "-", "-", "-"));
  EXPECT_THAT(Cut({Split("-", SplitBehavior::kMergedWithPrevious, true)}, "-a--b-"),
              ElementsAre("-a", "-", "-b", "-"));
}

TEST(PreTokenizerTest, EmptyMatchesAndPatternsDoNoHarm) {
  PreTokenizerSpec spec = Split("x*", SplitBehavior::kIsolated);
  spec.pattern.is_regex = true;
  EXPECT_THAT(Cut({spec}, "axxb"), ElementsAre("a", "xx", "b"));
  EXPECT_THAT(Cut({Split("", SplitBehavior::kIsolated)}, "ab"), ElementsAre("ab"));
  EXPECT_THAT(Cut({spec}, ""), IsEmpty());
}

TEST(PreTokenizerTest, DigitsAreAllOfUnicodesNumbers) {
  PreTokenizerSpec spec;
  spec.kind = PreTokenizerKind::kDigits;
  EXPECT_THAT(Cut({spec}, "a12\u0663b\u00bd"), ElementsAre("a", "12\u0663", "b", "\u00bd"));
  spec.individual_digits = true;
  EXPECT_THAT(Cut({spec}, "a12\u0663b"), ElementsAre("a", "1", "2", "\u0663", "b"));
}

TEST(PreTokenizerTest, ByteLevelAsTheLastStepKeepsTheBytes) {
  PreTokenizerSpec spec;
  spec.kind = PreTokenizerKind::kByteLevel;
  spec.add_prefix_space = true;
  EXPECT_THAT(Cut({spec}, "don't \u00e9"), ElementsAre(" don", "'t", " \u00e9"));
  EXPECT_THAT(Cut({spec}, " a"), ElementsAre(" a"));
  EXPECT_TRUE(PreTokenizer::Create({spec})->pieces_are_bytes());
}

TEST(PreTokenizerTest, StepsBehindByteLevelSeeItsAlphabet) {
  PreTokenizerSpec bytes;
  bytes.kind = PreTokenizerKind::kByteLevel;
  const std::vector<PreTokenizerSpec> specs = {bytes, Split("\u0120", SplitBehavior::kIsolated)};
  EXPECT_THAT(Cut(specs, "a b"), ElementsAre("a", "\u0120", "b"));
  EXPECT_FALSE(PreTokenizer::Create(specs)->pieces_are_bytes());
}

TEST(PreTokenizerTest, MetaspaceSchemes) {
  PreTokenizerSpec spec;
  spec.kind = PreTokenizerKind::kMetaspace;
  spec.replacement = "_";
  EXPECT_THAT(Cut({spec}, "a b"), ElementsAre("_a", "_b"));
  EXPECT_THAT(Cut({spec}, " a"), ElementsAre("_a"));
  EXPECT_THAT(Cut({spec}, "a  b", false), ElementsAre("_a", "_", "_b"));
  spec.prepend_scheme = PrependScheme::kFirst;
  EXPECT_THAT(Cut({spec}, "a"), ElementsAre("_a"));
  EXPECT_THAT(Cut({spec}, "a", false), ElementsAre("a"));
  spec.prepend_scheme = PrependScheme::kNever;
  spec.split = false;
  EXPECT_THAT(Cut({spec}, "a b"), ElementsAre("a_b"));
}

TEST(PreTokenizerTest, TooManyStepsAreRefused) {
  const std::vector<PreTokenizerSpec> specs(65, Split("a", SplitBehavior::kIsolated));
  EXPECT_EQ(PreTokenizer::Create(specs).status().code(), StatusCode::kLimit);
}

}  // namespace
}  // namespace fastkv
