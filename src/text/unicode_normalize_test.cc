#include "text/unicode_normalize.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>

#include "base/random.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

std::string Normalize(NormalizationForm form, std::string_view text) {
  UnicodeNormalizer normalizer(form);
  std::string output;
  for (size_t position = 0; position < text.size();) {
    const UnicodeNormalizer::Segment segment = normalizer.NextSegment(text, position);
    EXPECT_GT(segment.end, position);
    const std::string_view part = text.substr(position, segment.end - position);
    if (segment.unchanged) {
      output += part;
    } else {
      normalizer.AppendNormalized(part, output);
    }
    position = segment.end;
  }
  return output;
}

// The library normalizes the whole text at once.
std::string NormalizeWhole(NormalizationForm form, const std::string& text) {
  const bool composed = form == NormalizationForm::kNfc || form == NormalizationForm::kNfkc;
  const bool compatible = form == NormalizationForm::kNfkc || form == NormalizationForm::kNfkd;
  const auto options = static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
      (compatible ? UTF8PROC_COMPAT : 0));
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &mapped, options);
  EXPECT_GE(size, 0);
  std::string result(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
  std::free(mapped);
  return result;
}

class UnicodeNormalizeTest : public testing::TestWithParam<NormalizationForm> {};

TEST_P(UnicodeNormalizeTest, EveryCharacterAloneAndInCompany) {
  for (char32_t c = 0; c < 0x32000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text = "e";
    AppendUtf8(c, text);
    text += "\u0301\u0327o";
    ASSERT_EQ(Normalize(GetParam(), text), NormalizeWhole(GetParam(), text))
        << std::hex << static_cast<uint32_t>(c);
    ASSERT_EQ(Normalize(GetParam(), text.substr(1)), NormalizeWhole(GetParam(), text.substr(1)))
        << std::hex << static_cast<uint32_t>(c);
  }
}

TEST_P(UnicodeNormalizeTest, RandomText) {
  Random random(11);
  // Blocks where characters join: Latin, marks, Greek, Cyrillic, Indic, Hangul, kana, ideographs.
  const std::vector<std::pair<int64_t, int64_t>> blocks = {
      {0x20, 0x24F},    {0x300, 0x36F},   {0x370, 0x58F},     {0x590, 0x6FF},   {0x900, 0xDFF},
      {0x1100, 0x11FF}, {0xAC00, 0xAC60}, {0x3000, 0x318F},   {0x1E00, 0x1FFF}, {0x2000, 0x22FF},
      {0xF900, 0xFAFF}, {0xFB00, 0xFFEF}, {0x11080, 0x110FF}, {0x4E00, 0x4E20}, {0xFF60, 0xFF9F}};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (int64_t i = random.NextInt(12); i >= 0; --i) {
      const auto& block =
          blocks[static_cast<size_t>(random.NextInt(static_cast<int64_t>(blocks.size())))];
      AppendUtf8(
          static_cast<char32_t>(block.first + random.NextInt(block.second - block.first + 1)),
          text);
    }
    ASSERT_EQ(Normalize(GetParam(), text), NormalizeWhole(GetParam(), text)) << text;
  }
}

TEST_P(UnicodeNormalizeTest, AMillionMarksTakeNoQuadraticTime) {
  std::string text = "a";
  for (int i = 0; i < 500'000; ++i) text += "\u0301\u0316";
  const std::string normalized = Normalize(GetParam(), text);
  // The marks below (class 220) come before those above (class 230).
  EXPECT_NE(normalized.find("\u0316\u0316"), std::string::npos);
  EXPECT_EQ(normalized.find("\u0301\u0316"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Forms, UnicodeNormalizeTest,
                         testing::Values(NormalizationForm::kNfc, NormalizationForm::kNfd,
                                         NormalizationForm::kNfkc, NormalizationForm::kNfkd));

}  // namespace
}  // namespace fastkv
