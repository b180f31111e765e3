#include "eval/scorers/python_string.h"

#include <algorithm>
#include <cstdint>

#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

bool IsQuote(char c) { return c == '"' || c == '\''; }

// The prefix letters at `position`: as many as stand before a quote, at most two.
std::optional<std::string_view> PrefixAt(std::string_view source, size_t position) {
  for (size_t length = 0; length <= 2 && position + length < source.size(); ++length) {
    if (IsQuote(source[position + length])) return source.substr(position, length);
    constexpr std::string_view kPrefixLetters = "rRuUbBfF";
    if (kPrefixLetters.find(source[position + length]) == kPrefixLetters.npos) return std::nullopt;
  }
  return std::nullopt;
}

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// Up to `max_digits` digits of `base` at `position`, which is left behind them.
struct Digits {
  uint32_t value = 0;
  int count = 0;
};
Digits ReadDigits(std::string_view source, size_t& position, int base, int max_digits) {
  Digits digits;
  while (digits.count < max_digits && position < source.size() &&
         DigitValue(source[position]) < base) {
    digits.value = digits.value * static_cast<uint32_t>(base) +
                   static_cast<uint32_t>(DigitValue(source[position++]));
    ++digits.count;
  }
  return digits;
}

// The escape whose backslash stands just before `position`.
Status ReadEscape(std::string_view source, size_t& position, std::string& text) {
  const char kind = source[position];
  constexpr std::string_view kNames = "\\'\"abfnrtv";
  constexpr std::string_view kCharacters = "\\'\"\a\b\f\n\r\t\v";
  if (const size_t named = kNames.find(kind); named != kNames.npos) {
    text += kCharacters[named];
    ++position;
    return OkStatus();
  }
  if (kind == '\n') {  // a joined line
    ++position;
    return OkStatus();
  }
  if (kind >= '0' && kind <= '7') {
    AppendUtf8(ReadDigits(source, position, 8, 3).value, text);
    return OkStatus();
  }
  const int num_digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
  if (num_digits > 0) {
    ++position;
    const Digits digits = ReadDigits(source, position, 16, num_digits);
    const bool scalar =
        digits.value < 0xD800 || (digits.value > 0xDFFF && digits.value <= 0x10FFFF);
    if (digits.count != num_digits || !scalar) {
      return FormatError("an escape in a string names no character");
    }
    AppendUtf8(digits.value, text);
    return OkStatus();
  }
  if (kind == 'N') return FormatError("the escape \\N in a string is not supported");
  text += '\\';  // what is no escape stays as it is
  return OkStatus();
}

}  // namespace

bool PythonStringBegins(std::string_view source, size_t position) {
  return PrefixAt(source, position).has_value();
}

Result<std::string> ReadPythonString(std::string_view source, size_t& position) {
  const std::string_view prefix = *PrefixAt(source, position);
  if (prefix.find_first_of("bBfF") != prefix.npos) {
    return FormatError("bytes and f-strings are not supported");
  }
  const bool raw = prefix.find_first_of("rR") != prefix.npos;
  position += prefix.size();
  const char quote = source[position];
  const std::string triple(3, quote);
  const bool is_triple = source.substr(position).starts_with(triple);
  const std::string_view end = std::string_view(triple).substr(0, is_triple ? 3 : 1);
  position += end.size();
  std::string text;
  while (position < source.size()) {
    if (source.substr(position).starts_with(end)) {
      position += end.size();
      return text;
    }
    const char c = source[position];
    if (c == '\n' && !is_triple) break;
    ++position;
    if (c != '\\' || position == source.size()) {
      text += c;
    } else if (raw) {
      text += c;
      text += source[position++];
    } else {
      FASTKV_RETURN_IF_ERROR(ReadEscape(source, position, text));
    }
  }
  return FormatError("a string does not end");
}

}  // namespace fastkv
