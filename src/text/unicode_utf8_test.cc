#include "text/unicode_utf8.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

TEST(UnicodeUtf8Test, EveryCodePointSurvives) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(c, text);
    const CodePoint read = DecodeUtf8(text, 0);
    ASSERT_EQ(read.value, c);
    ASSERT_EQ(read.length_bytes, text.size());
    ASSERT_EQ(PreviousUtf8("x" + text, text.size() + 1), 1u);
    ASSERT_TRUE(ReadUtf8Prefix(text).valid);
  }
}

TEST(UnicodeUtf8Test, NamesTheFirstInvalidByte) {
  EXPECT_FALSE(FindInvalidUtf8("").has_value());
  EXPECT_FALSE(FindInvalidUtf8("a\u00e9\U0001F600").has_value());
  EXPECT_EQ(FindInvalidUtf8("ab\xff"), 2u);
  EXPECT_EQ(FindInvalidUtf8("ab\xc3"), 2u);
  EXPECT_EQ(FindInvalidUtf8("\xed\xa0\x80"), 0u) << "a surrogate";
  EXPECT_EQ(FindInvalidUtf8("a\xc0\x80"), 1u) << "an overlong form";
  EXPECT_EQ(FindInvalidUtf8("a\xf4\x90\x80\x80"), 1u) << "beyond U+10FFFF";
}

TEST(UnicodeUtf8Test, InvalidPartsAreAsLongAsTheyCouldBeValid) {
  const auto expect = [](std::string_view bytes, size_t length, bool cut) {
    const Utf8Prefix prefix = ReadUtf8Prefix(bytes);
    EXPECT_FALSE(prefix.valid);
    EXPECT_EQ(prefix.length_bytes, length);
    EXPECT_EQ(prefix.cut, cut);
  };
  expect("\xe2\x82", 2, true);
  expect(
      "\xe2\x82"
      "a",
      2, false);
  expect(
      "\xf0\x9f\x98"
      "a",
      3, false);
  expect("\xe0\x80", 1, false);
  expect("\x80\x80", 1, false);
  expect("\xf5", 1, false);
}

}  // namespace
}  // namespace fastkv
