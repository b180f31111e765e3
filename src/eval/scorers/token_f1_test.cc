#include "eval/scorers/token_f1.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using testing::ElementsAre;

TEST(TokenF1, NormalizesEnglish) {
  EXPECT_THAT(EnglishWords("The quick-brown fox, a dog."), ElementsAre("quickbrown", "fox", "dog"));
  EXPECT_THAT(EnglishWords("AN apple\u3000the_x theme"), ElementsAre("apple", "thex", "theme"));
  // A combining mark is no word character, so the letter before it counts as the article.
  EXPECT_THAT(EnglishWords("a\u0301 b"), ElementsAre("\u0301", "b"));
  EXPECT_THAT(EnglishWords("«a» áa 日a"), ElementsAre("«", "»", "áa", "日a"));
  EXPECT_THAT(EnglishWords("the a an"), ElementsAre());
}

TEST(TokenF1, KnownValues) {
  EXPECT_NEAR(EnglishF1("The quick-brown fox, a dog.", "quickbrown fox dog cat"), 0.857142857,
              1e-9);
  EXPECT_DOUBLE_EQ(EnglishF1("to be or not to be", "to be"), 0.5);
  EXPECT_EQ(EnglishF1("", ""), 0);
  EXPECT_EQ(EnglishF1("same", "same"), 1);
  EXPECT_EQ(EnglishF1("same", "other"), 0);
}

TEST(TokenF1, NormalizesChinese) {
  EXPECT_EQ(NormalizeChinese("你 好，ＡB！\u3000「世界」…x."), "你好ａb世界x");
  EXPECT_EQ(NormalizeChinese("《书》．·"), "《书．·");  // not on LongBench's list
  EXPECT_DOUBLE_EQ(ChineseCharacterF1("你好。", "你好吗"), 0.8);
  EXPECT_EQ(ChineseCharacterF1("。", "，"), 0);
}

}  // namespace
}  // namespace fastkv
