#include "text/added_tokens.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

// The parts as text: tokens as [id:text], the rest as it is, separated by bars.
std::string Parts(
    const AddedTokenFinder& finder, std::string_view text,
    const AddedTokenFinder::TrustTest& trusted = [](size_t, size_t) { return true; }) {
  std::string result;
  const Status status = finder.ForEachPart(text, trusted, [&](const TextPart& part) {
    if (!result.empty()) result += "|";
    const std::string own(text.substr(part.begin, part.end - part.begin));
    result += part.id ? "[" + std::to_string(*part.id) + ":" + own + "]" : own;
    return OkStatus();
  });
  EXPECT_TRUE(status.ok());
  return result;
}

AddedTokenEntry Entry(std::string text, int32_t id) {
  AddedTokenEntry entry;
  entry.text = std::move(text);
  entry.id = id;
  return entry;
}

TEST(AddedTokensTest, TheLeftmostLongestTokenWins) {
  const AddedTokenFinder finder(
      {Entry("<a", 1), Entry("<a>", 2), Entry("a><", 3), Entry("<a>", 4)});
  EXPECT_EQ(Parts(finder, "x<a>y"), "x|[2:<a>]|y");
  EXPECT_EQ(Parts(finder, "<a<a>"), "[1:<a]|[2:<a>]");
  EXPECT_EQ(Parts(finder, "a><a"), "[3:a><]|a");
  EXPECT_EQ(Parts(finder, "<"), "<");
  EXPECT_EQ(Parts(finder, ""), "");
  EXPECT_EQ(Parts(AddedTokenFinder(), "<a>"), "<a>");
}

TEST(AddedTokensTest, TokensSwallowWhiteSpaceOfAllKinds) {
  AddedTokenEntry left = Entry("<l>", 1);
  left.lstrip = true;
  AddedTokenEntry right = Entry("<r>", 2);
  right.rstrip = true;
  const AddedTokenFinder finder({left, right});
  EXPECT_EQ(Parts(finder, "a \u3000\n<l> b"), "a|[1: \u3000\n<l>]| b");
  EXPECT_EQ(Parts(finder, "a <r>\u00a0 b"), "a |[2:<r>\u00a0 ]|b");
  EXPECT_EQ(Parts(finder, "<r>  <l>"), "[2:<r>  ]|[1:<l>]") << "what one has taken is gone";
}

TEST(AddedTokensTest, SingleWordsStandAlone) {
  AddedTokenEntry word = Entry("word", 1);
  word.single_word = true;
  const AddedTokenFinder finder({word});
  EXPECT_EQ(Parts(finder, "word words sword word-word"),
            "[1:word]| words sword |[1:word]|-|[1:word]");
  EXPECT_EQ(Parts(finder, "word\u0301 \u4e2dword word_"), "word\u0301 \u4e2dword word_");
}

TEST(AddedTokensTest, SpecialTokensNeedTrust) {
  AddedTokenEntry special = Entry("<s>", 1);
  special.special = true;
  const AddedTokenFinder finder({special, Entry("<s", 2)});
  const auto only_first = [](size_t, size_t end) { return end <= 3; };
  EXPECT_EQ(Parts(finder, "<s><s>", only_first), "[1:<s>]|[2:<s]|>");
  EXPECT_TRUE(finder.has_special());
}

TEST(AddedTokensTest, BytesAbove127CompareAsBytes) {
  const AddedTokenFinder finder({Entry("\u2581\u2581", 1), Entry("\u2581", 2), Entry("z", 3)});
  EXPECT_EQ(Parts(finder, "\u2581\u2581\u2581z"), "[1:\u2581\u2581]|[2:\u2581]|[3:z]");
}

}  // namespace
}  // namespace fastkv
