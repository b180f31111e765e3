#include "eval/scorers/token_f1.h"

#include <array>
#include <utility>

#include "eval/scorers/jieba_segmenter.h"
#include "eval/scorers/python_text.h"
#include "text/jinja/unicode.h"
#include "text/unicode_case.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

bool IsArticle(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

std::string WithoutArticles(std::string_view text) {
  std::string kept;
  std::string word;
  const auto end_word = [&] {
    kept += IsArticle(word) ? " " : word;
    word.clear();
  };
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    const std::string_view character = text.substr(position, length_bytes);
    if (jinja::IsWordCharacter(code_point)) {
      word += character;
    } else {
      end_word();
      kept += character;
    }
    position += length_bytes;
  }
  end_word();
  return kept;
}

// The Chinese and full-width punctuation that LongBench deletes; its list has no opening double
// angle bracket and no full-width full stop.
bool IsDeletedInChinese(char32_t c) {
  constexpr std::array<std::pair<char32_t, char32_t>, 15> kRanges = {{
      {0x2013, 0x2014},
      {0x2018, 0x2019},
      {0x201B, 0x201F},
      {0x2026, 0x2027},
      {0x3001, 0x3003},
      {0x300B, 0x3011},
      {0x3014, 0x301F},
      {0x3030, 0x3030},
      {0x303E, 0x303F},
      {0xFE4F, 0xFE4F},
      {0xFF01, 0xFF0D},
      {0xFF0F, 0xFF0F},
      {0xFF1A, 0xFF20},
      {0xFF3B, 0xFF40},
      {0xFF5B, 0xFF64},
  }};
  return IsAsciiPunctuation(c) || IsPythonSpace(c) ||
         std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

std::vector<std::string> NormalizedWords(std::string_view text, const JiebaSegmenter& segmenter) {
  std::vector<std::string> words;
  for (const std::string& word : segmenter.Segment(text)) {
    std::string normalized = NormalizeChinese(word);
    if (!normalized.empty()) words.push_back(std::move(normalized));
  }
  return words;
}

std::vector<char32_t> NormalizedCharacters(std::string_view text) {
  const std::u32string code_points = CodePoints(NormalizeChinese(text));
  return {code_points.begin(), code_points.end()};
}

}  // namespace

std::vector<std::string> EnglishWords(std::string_view text) {
  std::string without_punctuation;
  for (const char c : FullLowerCase(text)) {
    if (!IsAsciiPunctuation(static_cast<unsigned char>(c))) without_punctuation += c;
  }
  std::vector<std::string> words;
  const std::string without_articles = WithoutArticles(without_punctuation);
  for (const std::string_view word : SplitWhiteSpace(without_articles)) words.emplace_back(word);
  return words;
}

std::string NormalizeChinese(std::string_view text) {
  const std::string lower = FullLowerCase(text);
  std::string kept;
  for (size_t position = 0; position < lower.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(lower, position);
    if (!IsDeletedInChinese(code_point)) kept.append(lower, position, length_bytes);
    position += length_bytes;
  }
  return kept;
}

double EnglishF1(std::string_view prediction, std::string_view answer) {
  return BagF1(EnglishWords(prediction), EnglishWords(answer));
}

double ChineseWordF1(std::string_view prediction, std::string_view answer,
                     const JiebaSegmenter& segmenter) {
  return BagF1(NormalizedWords(prediction, segmenter), NormalizedWords(answer, segmenter));
}

double ChineseCharacterF1(std::string_view prediction, std::string_view answer) {
  return BagF1(NormalizedCharacters(prediction), NormalizedCharacters(answer));
}

}  // namespace fastkv
