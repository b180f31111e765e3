#include "eval/scorers/python_text.h"

#include <algorithm>

#include "text/jinja/unicode.h"
#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

// Maximal runs of the characters that `belongs` accepts.
template <typename Belongs>
std::vector<std::string_view> Runs(std::string_view text, Belongs belongs) {
  std::vector<std::string_view> runs;
  size_t begin = 0;
  size_t position = 0;
  while (position < text.size()) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    if (!belongs(code_point)) {
      if (position > begin) runs.push_back(text.substr(begin, position - begin));
      begin = position + length_bytes;
    }
    position += length_bytes;
  }
  if (position > begin) runs.push_back(text.substr(begin));
  return runs;
}

}  // namespace

bool IsPythonSpace(char32_t code_point) { return jinja::IsSpace(code_point); }

bool IsAsciiPunctuation(char32_t c) {
  return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
         (c >= 0x7B && c <= 0x7E);
}

std::vector<std::string_view> SplitWhiteSpace(std::string_view text) {
  return Runs(text, [](char32_t c) { return !IsPythonSpace(c); });
}

std::string_view StripWhiteSpace(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const CodePoint first = DecodeUtf8(text, begin);
    if (!IsPythonSpace(first.value)) break;
    begin += first.length_bytes;
  }
  size_t end = text.size();
  while (end > begin) {
    const size_t last = PreviousUtf8(text, end);
    if (!IsPythonSpace(DecodeUtf8(text, last).value)) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    pieces.push_back(text.substr(begin, end == text.npos ? text.npos : end - begin));
    if (end == text.npos) return pieces;
    begin = end + 1;
  }
}

std::string_view StripLeadingNewlines(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

std::string ReplaceBySpaces(std::string_view text, std::string_view characters) {
  std::string replaced(text);
  for (char& c : replaced) {
    if (characters.find(c) != characters.npos) c = ' ';
  }
  return replaced;
}

std::string SqueezeSpaces(std::string_view text) {
  std::string squeezed(text);
  const auto both_spaces = [](char a, char b) { return a == ' ' && b == ' '; };
  squeezed.erase(std::unique(squeezed.begin(), squeezed.end(), both_spaces), squeezed.end());
  return squeezed;
}

std::vector<std::string_view> DecimalNumbers(std::string_view text) {
  return Runs(text, [](char32_t c) { return DecimalDigitValue(c) >= 0; });
}

std::vector<std::string_view> AsciiNumbers(std::string_view text) {
  return Runs(text, [](char32_t c) { return c >= '0' && c <= '9'; });
}

std::optional<std::string> ParsePythonInteger(std::string_view text) {
  text = StripWhiteSpace(text);
  std::string number;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    if (text[0] == '-') number = "-";
    text.remove_prefix(1);
  }
  const size_t sign_bytes = number.size();
  bool digit_before = false;
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    const int value = DecimalDigitValue(code_point);
    if (value < 0 && !(code_point == '_' && digit_before)) return std::nullopt;
    digit_before = value >= 0;
    const bool leading_zero = value == 0 && number.size() == sign_bytes;
    if (digit_before && !leading_zero) number += static_cast<char>('0' + value);
    position += length_bytes;
  }
  if (!digit_before) return std::nullopt;  // nothing but a sign, or an underscore at the end
  if (number.size() == sign_bytes) return "0";
  return number;
}

std::u32string CodePoints(std::string_view text) {
  std::u32string code_points;
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    code_points += code_point;
    position += length_bytes;
  }
  return code_points;
}

}  // namespace fastkv
