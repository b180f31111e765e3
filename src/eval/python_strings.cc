#include "eval/python_strings.h"

#include <cctype>
#include <cstdint>
#include <utility>

#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {}

  std::vector<PythonString> Read() {
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '#') {
        at_ = std::min(source_.find('\n', at_), source_.size());
      } else if (c == '"' || c == '\'') {
        if (!ReadLiteral(at_, /*is_raw=*/false, /*is_format=*/false)) break;
      } else if (IsNameCharacter(c)) {
        if (!ReadNameOrPrefix()) break;
      } else {
        ++at_;
      }
    }
    return std::move(strings_);
  }

 private:
  // A name directly before a quote is a prefix: r, b, u, f and pairs of them, in either case.
  bool ReadNameOrPrefix() {
    const size_t begin = at_;
    while (at_ < source_.size() && IsNameCharacter(source_[at_])) ++at_;
    if (at_ == source_.size() || (source_[at_] != '"' && source_[at_] != '\'')) return true;
    const std::string_view prefix = source_.substr(begin, at_ - begin);
    if (prefix.size() > 2) return true;
    return ReadLiteral(begin, prefix.find_first_of("rR") != prefix.npos,
                       prefix.find_first_of("fF") != prefix.npos);
  }

  bool ReadLiteral(size_t begin, bool is_raw, bool is_format) {
    const std::string one(1, source_[at_]);
    const std::string three = one + one + one;
    const bool is_long = source_.substr(at_, 3) == three;
    const std::string& quote = is_long ? three : one;
    at_ += quote.size();
    PythonString literal{.begin = begin, .is_format = is_format, .value = {}};
    while (source_.substr(at_, quote.size()) != quote) {
      if (at_ >= source_.size() || (!is_long && source_[at_] == '\n')) return false;
      if (source_[at_] != '\\' || is_raw) {
        literal.value += source_[at_++];
      } else if (!ReadEscape(literal.value)) {
        return false;
      }
    }
    at_ += quote.size();
    strings_.push_back(std::move(literal));
    return true;
  }

  bool ReadEscape(std::string& value) {
    if (at_ + 1 >= source_.size()) return false;
    const char kind = source_[at_ + 1];
    at_ += 2;
    switch (kind) {
      case 'n':
        value += '\n';
        return true;
      case 't':
        value += '\t';
        return true;
      case 'r':
        value += '\r';
        return true;
      case '\n':  // the line goes on
        return true;
      case 'x':
        return ReadHex(2, value);
      case 'u':
        return ReadHex(4, value);
      case '\\':
      case '\'':
      case '"':
        value += kind;
        return true;
      default:  // Python keeps what it does not know
        value += '\\';
        value += kind;
        return true;
    }
  }

  bool ReadHex(size_t num_digits, std::string& value) {
    uint32_t code_point = 0;
    for (size_t i = 0; i < num_digits; ++i, ++at_) {
      if (at_ >= source_.size()) return false;
      const char c = source_[at_];
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return false;
      const int digit = std::isdigit(static_cast<unsigned char>(c)) != 0
                            ? c - '0'
                            : std::tolower(static_cast<unsigned char>(c)) - 'a' + 10;
      code_point = code_point * 16 + static_cast<uint32_t>(digit);
    }
    if (code_point >= 0xd800 && code_point <= 0xdfff) return false;
    AppendUtf8(code_point, value);
    return true;
  }

  std::string_view source_;
  size_t at_ = 0;
  std::vector<PythonString> strings_;
};

// The name that the text before a literal assigns to: of "x, needle: str = " it is needle.
std::string_view AssignedName(std::string_view before) {
  before = Trimmed(before);
  if (before.empty() || before.back() != '=') return {};
  before.remove_suffix(1);
  const size_t begin = before.find_last_of("\n,(");
  if (begin != before.npos) before.remove_prefix(begin + 1);
  return Trimmed(before.substr(0, before.find(':')));
}

}  // namespace

std::vector<PythonString> ReadPythonStrings(std::string_view source) {
  return Reader(source).Read();
}

std::optional<std::string> AssignedPythonString(std::string_view source,
                                                const std::vector<PythonString>& strings,
                                                std::string_view name) {
  for (const PythonString& literal : strings) {
    if (AssignedName(source.substr(0, literal.begin)) == name) return literal.value;
  }
  return std::nullopt;
}

}  // namespace fastkv
