#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

bool IsDigitByte(char byte) { return byte >= '0' && byte <= '9'; }

int DigitValue(char byte) {
  if (IsDigitByte(byte)) return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return 99;
}

// Digits with single underscores between them, from `offset`; returns the end.
size_t ScanDigits(std::string_view text, size_t offset, int base, bool leading_underscore) {
  size_t end = offset;
  for (size_t i = offset; i < text.size();) {
    size_t digit = i;
    if (text[digit] == '_' && (i > offset || leading_underscore)) ++digit;
    if (digit >= text.size() || DigitValue(text[digit]) >= base) break;
    end = i = digit + 1;
  }
  return end;
}

// "\r\n" and "\r" become "\n", and one line break at the end goes.
std::string NormalizeSource(std::string_view source) {
  std::string normal;
  normal.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      normal.push_back(source[i]);
      continue;
    }
    normal.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!normal.empty() && normal.back() == '\n') normal.pop_back();
  return normal;
}

}  // namespace

Result<Lexer> Lexer::Of(std::string_view source) {
  if (!IsValidUtf8(source)) {
    return FormatError("the template is not valid UTF-8; save it as UTF-8");
  }
  Lexer lexer;
  lexer.source_ = NormalizeSource(source);
  return lexer;
}

Status Lexer::Error(std::string_view message) const {
  return FormatError("line " + std::to_string(line_) + ": " + std::string(message));
}

void Lexer::Advance(size_t size) {
  if (size == 0) return;
  const auto begin = source_.begin() + static_cast<std::ptrdiff_t>(position_);
  line_ += static_cast<int>(std::count(begin, begin + static_cast<std::ptrdiff_t>(size), '\n'));
  position_ += size;
  line_starting_ = source_[position_ - 1] == '\n';
}

size_t Lexer::SkipSpace(size_t offset) const {
  while (offset < source_.size()) {
    const DecodedPoint point = DecodeUtf8(source_, offset);
    if (!IsSpace(point.value)) break;
    offset += point.size;
  }
  return offset;
}

bool Lexer::AtTagEnd(std::string_view end, bool trims_newline, size_t* size) const {
  const std::string_view rest = std::string_view(source_).substr(position_);
  const bool may_keep = trims_newline;  // only block and comment ends know "+"
  if (rest.starts_with(end)) {
    *size = end.size();
    if (trims_newline && rest.size() > *size && rest[*size] == '\n') ++*size;
    return true;
  }
  if (rest.empty() || !rest.substr(1).starts_with(end)) return false;
  if (rest[0] == '-') {
    *size = SkipSpace(position_ + 1 + end.size()) - position_;
    return true;
  }
  if (rest[0] == '+' && may_keep) {
    *size = 1 + end.size();
    return true;
  }
  return false;
}

bool Lexer::AtRawTag(std::string_view name, bool trims_newline, size_t* size) const {
  const std::string_view source(source_);
  size_t offset = position_ + 2;
  if (!source.substr(position_).starts_with("{%")) return false;
  if (offset < source.size() && (source[offset] == '-' || source[offset] == '+')) ++offset;
  offset = SkipSpace(offset);
  if (!source.substr(offset).starts_with(name)) return false;
  offset = SkipSpace(offset + name.size());
  const std::string_view rest = source.substr(offset);
  if (rest.starts_with("-%}")) {
    *size = SkipSpace(offset + 3) - position_;
  } else if (rest.starts_with("+%}") && trims_newline) {
    *size = offset + 3 - position_;
  } else if (rest.starts_with("%}")) {
    *size = offset + 2 - position_;
    if (trims_newline && rest.size() > 2 && rest[2] == '\n') ++*size;
  } else {
    return false;
  }
  return true;
}

std::string_view Lexer::StripBeforeTag(std::string_view text, char sign, bool strips_line) const {
  if (sign == '-') {
    while (!text.empty()) {
      const DecodedPoint point = DecodeUtf8Before(text, text.size());
      if (!IsSpace(point.value)) break;
      text.remove_suffix(point.size);
    }
    return text;
  }
  if (sign == '+' || !strips_line) return text;
  const size_t line_break = text.rfind('\n');
  if (line_break == std::string_view::npos && !line_starting_) return text;
  const size_t line = line_break == std::string_view::npos ? 0 : line_break + 1;
  for (size_t offset = line; offset < text.size();) {
    const DecodedPoint point = DecodeUtf8(text, offset);
    if (!IsSpace(point.value)) return text;
    offset += point.size;
  }
  return text.substr(0, line);
}

Result<Token> Lexer::Next() {
  while (true) {
    if (state_ == State::kRawEnd) return NextRaw();
    if (state_ != State::kData) return NextInTag();
    if (position_ >= source_.size()) {
      Token end;
      end.line = line_;
      return end;
    }
    FASTKV_ASSIGN_OR_RETURN(Token data, NextData());
    if (data.type != TokenType::kData || !data.text.empty()) return data;
  }
}

Result<Token> Lexer::NextData() {
  const std::string_view source(source_);
  size_t tag = source.find('{', position_);
  while (tag != std::string_view::npos &&
         (tag + 1 >= source.size() ||
          (source[tag + 1] != '{' && source[tag + 1] != '%' && source[tag + 1] != '#'))) {
    tag = source.find('{', tag + 1);
  }
  Token token;
  token.line = line_;
  if (tag == position_) {
    const char kind = source[tag + 1];
    const char sign = tag + 2 < source.size() ? source[tag + 2] : '\0';
    const size_t begin_size = sign == '-' || sign == '+' ? 3 : 2;
    size_t raw_size = 0;
    if (kind == '%' && AtRawTag("raw", false, &raw_size)) {
      Advance(raw_size);
      state_ = State::kRawEnd;
      token.type = TokenType::kData;
      return token;
    }
    Advance(begin_size);
    if (kind == '#') {
      FASTKV_RETURN_IF_ERROR(SkipComment());
      token.type = TokenType::kData;
      return token;
    }
    state_ = kind == '%' ? State::kBlock : State::kVariable;
    token.type = kind == '%' ? TokenType::kBlockBegin : TokenType::kVariableBegin;
    return token;
  }
  token.type = TokenType::kData;
  const size_t end = tag == std::string_view::npos ? source.size() : tag;
  std::string_view text = source.substr(position_, end - position_);
  if (tag != std::string_view::npos) {
    const char sign = tag + 2 < source.size() ? source[tag + 2] : '\0';
    text = StripBeforeTag(text, sign, source[tag + 1] != '{');
  }
  token.text = std::string(text);
  Advance(end - position_);
  // The text and the tag after it are one match, and only its end says whether a line starts.
  line_starting_ = false;
  return token;
}

Result<Token> Lexer::NextRaw() {
  const std::string_view source(source_);
  Token token;
  token.line = line_;
  token.type = TokenType::kData;
  const size_t begin = position_;
  const bool line_starting = line_starting_;
  for (size_t tag = source.find("{%", begin); tag != std::string_view::npos;
       tag = source.find("{%", tag + 1)) {
    position_ = tag;
    size_t size = 0;
    const bool found = AtRawTag("endraw", true, &size);
    position_ = begin;
    if (!found) continue;
    line_starting_ = line_starting;
    token.text =
        std::string(StripBeforeTag(source.substr(begin, tag - begin), source[tag + 2], true));
    Advance(tag - begin + size);
    state_ = State::kData;
    return token;
  }
  return Error("{% raw %} has no {% endraw %}");
}

Status Lexer::SkipComment() {
  size_t end = source_.find("#}", position_);
  if (end == std::string::npos) return Error("a comment {# has no end #}");
  size_t size = 0;
  const size_t begin = position_;
  if (end > begin && (source_[end - 1] == '-' || source_[end - 1] == '+')) --end;
  position_ = end;
  AtTagEnd("#}", true, &size);
  position_ = begin;
  Advance(end - begin + size);
  return OkStatus();
}

Result<Token> Lexer::NextInTag() {
  const bool block = state_ == State::kBlock;
  Advance(SkipSpace(position_) - position_);
  Token token;
  token.line = line_;
  if (position_ >= source_.size()) {
    if (!brackets_.empty()) {
      return Error(std::string("unexpected end of template, expected '") + brackets_.back() + "'");
    }
    return token;
  }
  size_t size = 0;
  if (brackets_.empty() && AtTagEnd(block ? "%}" : "}}", block, &size)) {
    token.type = block ? TokenType::kBlockEnd : TokenType::kVariableEnd;
    Advance(size);
    state_ = State::kData;
    return token;
  }
  const char first = source_[position_];
  if (IsDigitByte(first)) return LexNumber();
  if (first == '"' || first == '\'') return LexString();
  size_t end = position_;
  while (end < source_.size()) {
    const DecodedPoint point = DecodeUtf8(source_, end);
    // Marks are parts of identifiers without being word characters of their own.
    if (!IsWordCharacter(point.value) && (point.value < 0x80 || end == position_)) break;
    end += point.size;
  }
  if (end == position_) return LexOperator();
  token.type = TokenType::kName;
  token.text = source_.substr(position_, end - position_);
  if (!IsIdentifier(token.text)) return Error("invalid character in the name '" + token.text + "'");
  Advance(end - position_);
  return token;
}

Result<Token> Lexer::LexNumber() {
  const std::string_view source(source_);
  Token token;
  token.line = line_;
  // A float first: digits with a fraction, an exponent or both; not right after a dot (`a.0.1`).
  const bool after_dot = position_ > 0 && source[position_ - 1] == '.';
  size_t end = ScanDigits(source, position_, 10, false);
  bool is_float = false;
  if (!after_dot) {
    if (end + 1 < source.size() && source[end] == '.' && IsDigitByte(source[end + 1])) {
      end = ScanDigits(source, end + 1, 10, false);
      is_float = true;
    }
    if (end < source.size() && (source[end] == 'e' || source[end] == 'E')) {
      size_t exponent = end + 1;
      if (exponent < source.size() && (source[exponent] == '+' || source[exponent] == '-')) {
        ++exponent;
      }
      if (exponent < source.size() && IsDigitByte(source[exponent])) {
        end = ScanDigits(source, exponent, 10, false);
        is_float = true;
      }
    }
  }
  std::string digits(source.substr(position_, end - position_));
  if (is_float) {
    std::erase(digits, '_');
    token.type = TokenType::kFloat;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), token.real);
    // from_chars leaves a number beyond the range of double alone; Python makes it infinite or
    // zero.
    if (parsed.ec == std::errc::result_out_of_range) {
      token.real = digits.find("e-") != std::string::npos || digits.find("E-") != std::string::npos
                       ? 0.0
                       : HUGE_VAL;
    }
    Advance(end - position_);
    return token;
  }
  int base = 10;
  size_t begin = position_;
  if (source[begin] == '0') {
    const char prefix = begin + 1 < source.size() ? static_cast<char>(source[begin + 1] | 0x20) : 0;
    const int wanted = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    const size_t prefixed = wanted == 10 ? begin : ScanDigits(source, begin + 2, wanted, true);
    if (wanted != 10 && prefixed > begin + 2) {
      base = wanted;
      begin += 2;
      end = prefixed;
    } else {
      // Zeros only: a decimal number does not begin with 0.
      end = ScanDigits(source, begin, 1, false);
    }
  }
  token.type = TokenType::kInteger;
  for (size_t i = begin; i < end; ++i) {
    if (source[i] == '_') continue;
    if (__builtin_mul_overflow(token.integer, Int128{base}, &token.integer) ||
        __builtin_add_overflow(token.integer, Int128{DigitValue(source[i])}, &token.integer)) {
      return Error("an integer is too large");
    }
  }
  Advance(end - position_);
  return token;
}

Result<Token> Lexer::LexString() {
  const char quote = source_[position_];
  size_t end = position_ + 1;
  while (end < source_.size() && source_[end] != quote) {
    end += source_[end] == '\\' ? 2 : 1;
  }
  if (end >= source_.size()) return Error("a string has no end");
  Token token;
  token.line = line_;
  token.type = TokenType::kString;
  Result<std::string> value =
      Unescape(std::string_view(source_).substr(position_ + 1, end - position_ - 1));
  if (!value.ok()) return value.status().WithContext("line " + std::to_string(line_));
  token.text = std::move(*value);
  Advance(end + 1 - position_);
  return token;
}

Result<Token> Lexer::LexOperator() {
  static constexpr std::string_view kOperators[] = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
  const std::string_view rest = std::string_view(source_).substr(position_);
  for (const std::string_view symbol : kOperators) {
    if (!rest.starts_with(symbol)) continue;
    const char first = symbol[0];
    if (first == '(' || first == '[' || first == '{') {
      brackets_.push_back(first == '(' ? ')' : first == '[' ? ']' : '}');
    } else if (first == ')' || first == ']' || first == '}') {
      if (brackets_.empty()) return Error("unexpected '" + std::string(symbol) + "'");
      if (brackets_.back() != first) {
        return Error("unexpected '" + std::string(symbol) + "', expected '" +
                     std::string(1, brackets_.back()) + "'");
      }
      brackets_.pop_back();
    }
    Token token;
    token.line = line_;
    token.type = TokenType::kOperator;
    token.text = std::string(symbol);
    Advance(symbol.size());
    return token;
  }
  return Error("unexpected character '" + std::string(rest.substr(0, DecodeUtf8(rest, 0).size)) +
               "'");
}

Result<std::string> Unescape(std::string_view literal) {
  static constexpr std::string_view kPlain = "\\'\"abfnrtv";
  static constexpr std::string_view kMeaning = "\\'\"\a\b\f\n\r\t\v";
  std::string value;
  for (size_t i = 0; i < literal.size();) {
    if (literal[i] != '\\') {
      value.push_back(literal[i++]);
      continue;
    }
    if (i + 1 >= literal.size()) return FormatError("a string ends in a backslash");
    const char escape = literal[i + 1];
    i += 2;
    if (const size_t plain = kPlain.find(escape); plain != std::string_view::npos) {
      value.push_back(kMeaning[plain]);
      continue;
    }
    if (escape == '\n') continue;
    int base = 16;
    size_t most = escape == 'x' ? 2 : escape == 'u' ? 4 : escape == 'U' ? 8 : 0;
    if (escape >= '0' && escape <= '7') {
      base = 8;
      most = 3;
      --i;
    } else if (escape == 'N') {
      return UnsupportedError("\\N{...} in a string is not supported; write the character itself");
    } else if (most == 0) {
      // An escape Python does not know stays as it is written.
      value.push_back('\\');
      value.push_back(escape);
      continue;
    }
    uint64_t code_point = 0;
    size_t digits = 0;
    while (digits < most && i < literal.size() && DigitValue(literal[i]) < base) {
      code_point = code_point * static_cast<uint64_t>(base) +
                   static_cast<uint64_t>(DigitValue(literal[i++]));
      ++digits;
    }
    if (base == 16 && digits < most) return FormatError("a string holds a cut \\x or \\u escape");
    if (code_point > 0x10FFFF) return FormatError("a string holds an invalid \\U escape");
    if (code_point >= 0xD800 && code_point <= 0xDFFF) {
      return UnsupportedError("a string holds a lone surrogate; write the character itself");
    }
    char bytes[4];
    value.append(bytes, EncodeUtf8(static_cast<char32_t>(code_point), bytes));
  }
  return value;
}

}  // namespace fastkv::jinja
