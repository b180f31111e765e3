#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/scorers/lcs.h"
#include "eval/scorers/porter_stemmer.h"
#include "eval/scorers/rouge_1.h"
#include "eval/scorers/rouge_l.h"
#include "eval/scorers/rouge_lsum.h"

namespace fastkv {
namespace {

using testing::ElementsAre;

double L(std::string_view prediction, std::string_view answer) {
  return RougeL(prediction, answer).value();
}

TEST(RougeL, KnownValues) {
  EXPECT_NEAR(L("the cat sat on the mat. the dog ran", "a cat sat on a mat. dog ran fast"),
              0.799999995022, 1e-11);
  EXPECT_NEAR(L("the cat", "the the cat cat"), 0.999999995, 1e-11);
  EXPECT_NEAR(L("hello world. ", "hello world."), 0.7999999952, 1e-11);
  EXPECT_EQ(L("", "abc"), 0);
  EXPECT_EQ(L("abc", "..."), 0);
  EXPECT_EQ(L("abc", "xyz"), 0);
}

TEST(RougeL, LongTracesAreZeroWhereAsked) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "w" + std::to_string(i) + " ";
  EXPECT_NEAR(L(text, text), 1, 1e-8);
  EXPECT_NEAR(RougeL(text, text, {.max_trace_steps = 30}).value(), 1, 1e-8);
  EXPECT_EQ(RougeL(text, text, {.max_trace_steps = 29}).value(), 0);
}

TEST(Lcs, TiesDecideWhichSubsequence) {
  const std::vector<int32_t> ab = {1, 2};
  const std::vector<int32_t> ba = {2, 1};
  // "a b" and "b a": dropping b of the first keeps a, dropping a of the second keeps b.
  EXPECT_THAT(TraceLcs(ab, ba, LcsTie::kDropFirst)->indices, ElementsAre(0));
  EXPECT_THAT(TraceLcs(ab, ba, LcsTie::kDropSecond)->indices, ElementsAre(1));
  EXPECT_THAT(TraceLcs(ab, {}, LcsTie::kDropFirst)->indices, ElementsAre());
  EXPECT_THAT(TraceLcs({}, {}, LcsTie::kDropFirst)->indices, ElementsAre());
}

TEST(Lcs, RefusesTextsWhoseTableWouldFillTheMemory) {
  const std::vector<int32_t> words(1 << 15, 7);
  const auto trace = TraceLcs(words, words, LcsTie::kDropFirst);
  ASSERT_FALSE(trace.ok());
  EXPECT_EQ(trace.status().code(), StatusCode::kLimit);
  EXPECT_THAT(trace.status().message(), testing::HasSubstr("32768 and 32768 words"));
}

TEST(RougeLsum, TakesTheUnionOverLinesAndClips) {
  EXPECT_THAT(RougeTokens("Don't  STOP\u212A_x-9"), ElementsAre("don", "t", "stopk", "x", "9"));
  EXPECT_DOUBLE_EQ(RougeLsum("a b\nc d", "a b\nc d").value(), 1);
  // Both lines of the prediction give a part of "a b c"; 3 hits of 4 and of 3 tokens.
  EXPECT_DOUBLE_EQ(RougeLsum("a c\nb x", "a b c").value(), 2 * 0.75 * 1 / 1.75);
  // The one "a" of the prediction meets both lines of the answer, but counts once.
  EXPECT_DOUBLE_EQ(RougeLsum("a", "a\na").value(), 2 * 1 * 0.5 / 1.5);
  EXPECT_EQ(RougeLsum("", "a").value(), 0);
  EXPECT_EQ(RougeLsum("a", "—\n\n").value(), 0);
}

TEST(PorterStemmer, FollowsNltk) {
  const std::pair<const char*, const char*> kStems[] = {{"caresses", "caress"},
                                                        {"ponies", "poni"},
                                                        {"ties", "tie"},
                                                        {"sky", "sky"},
                                                        {"skies", "sky"},
                                                        {"dying", "die"},
                                                        {"lying", "lie"},
                                                        {"tying", "tie"},
                                                        {"news", "news"},
                                                        {"howe", "howe"},
                                                        {"proceed", "proceed"},
                                                        {"exceed", "exceed"},
                                                        {"succeed", "succeed"},
                                                        {"inning", "inning"},
                                                        {"innings", "inning"},
                                                        {"outing", "outing"},
                                                        {"outings", "outing"},
                                                        {"canning", "canning"},
                                                        {"cannings", "canning"},
                                                        {"cats", "cat"},
                                                        {"agreed", "agre"},
                                                        {"feed", "feed"},
                                                        {"plastered", "plaster"},
                                                        {"bled", "bled"},
                                                        {"motoring", "motor"},
                                                        {"sing", "sing"},
                                                        {"conflated", "conflat"},
                                                        {"sized", "size"},
                                                        {"hopping", "hop"},
                                                        {"falling", "fall"},
                                                        {"hissing", "hiss"},
                                                        {"filing", "file"},
                                                        {"happy", "happi"},
                                                        {"enjoy", "enjoy"},
                                                        {"spied", "spi"},
                                                        {"tied", "tie"},
                                                        {"relational", "relat"},
                                                        {"rationally", "ration"},
                                                        {"possibly", "possibl"},
                                                        {"hopefully", "hope"},
                                                        {"geology", "geolog"},
                                                        {"organisation", "organis"},
                                                        {"adoption", "adopt"},
                                                        {"controlling", "control"},
                                                        {"rate", "rate"},
                                                        {"cease", "ceas"},
                                                        {"us", "us"},
                                                        {"1990s", "1990"},
                                                        {"say", "say"},
                                                        {"saying", "say"},
                                                        {"syzygy", "syzygi"}};
  for (const auto& [word, stem] : kStems) EXPECT_EQ(PorterStem(word), stem) << word;
}

TEST(Rouge1, StemsLongWords) {
  EXPECT_DOUBLE_EQ(Rouge1("Running, jumping!", "runs jumped"), 1);
  EXPECT_DOUBLE_EQ(Rouge1("The cats", "cat the dogs"), 0.8);
  EXPECT_DOUBLE_EQ(Rouge1("has", "ha"), 0);  // three letters keep their form
  EXPECT_EQ(Rouge1("", "abc"), 0);
}

}  // namespace
}  // namespace fastkv
