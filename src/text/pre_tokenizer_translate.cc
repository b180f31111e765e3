// Expressions of tokenizer files are written for Oniguruma. Most read the same in PCRE2; what does
// not is rewritten, and what cannot be is refused, because a silent difference would change tokens.
#include <array>
#include <string>

#include "io/quoted.h"
#include "text/pre_tokenizer_pattern.h"

namespace fastkv {
namespace {

constexpr std::array<std::string_view, 38> kGeneralCategories = {
    "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",
    "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi",
    "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs", "Any"};
constexpr std::array<std::string_view, 4> kBinaryProperties = {"White_Space", "Alphabetic",
                                                               "Uppercase", "Lowercase"};

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Translator {
 public:
  explicit Translator(std::string_view expression) : in_(expression) {}

  Result<std::string> Run() {
    while (position_ < in_.size()) {
      const char c = in_[position_];
      Status status;
      if (c == '\\') {
        status = Escape();
      } else if (in_class_) {
        status = ClassCharacter();
      } else if (c == '[') {
        OpenClass();
      } else if (c == '(') {
        status = Group();
      } else if (c == '{') {
        status = Interval();
      } else {
        Copy(1);
      }
      FASTKV_RETURN_IF_ERROR(status);
    }
    return std::move(out_);
  }

 private:
  char Peek(size_t offset) const {
    return position_ + offset < in_.size() ? in_[position_ + offset] : '\0';
  }
  void Copy(size_t count) {
    out_ += in_.substr(position_, count);
    position_ += count;
  }
  void Replace(size_t count, std::string_view replacement) {
    out_ += replacement;
    position_ += count;
  }
  Status Refuse(const std::string& construct) const {
    return UnsupportedError("the expression " + Quoted(in_) + " uses " + construct + " at byte " +
                            std::to_string(position_) + ", which is not supported");
  }

  void OpenClass() {
    in_class_ = true;
    Copy(Peek(1) == '^' ? 2 : 1);
    class_start_ = position_;
  }

  Status ClassCharacter() {
    const char c = in_[position_];
    if (c == '[') return Refuse("a class within a class");
    if (c == '&' && Peek(1) == '&') return Refuse("an intersection of classes");
    if (c == ']') {
      if (position_ == class_start_) return Refuse("an empty class");
      in_class_ = false;
    }
    Copy(1);
    return OkStatus();
  }

  Status Escape() {
    const char c = Peek(1);
    switch (c) {
      case 's':
        Replace(2, "\\p{White_Space}");
        return OkStatus();
      case 'S':
        Replace(2, "\\P{White_Space}");
        return OkStatus();
      case 'w':
        Replace(2, in_class_ ? "\\p{L}\\p{M}\\p{Nd}\\p{Pc}" : "[\\p{L}\\p{M}\\p{Nd}\\p{Pc}]");
        return OkStatus();
      case 'W':
        if (in_class_) return Refuse("\\W in a class");
        Replace(2, "[^\\p{L}\\p{M}\\p{Nd}\\p{Pc}]");
        return OkStatus();
      case 'd':
      case 'D':
      case 'r':
      case 'n':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        Copy(2);
        return OkStatus();
      case 'v':  // one character here, a set of them in PCRE2
        Replace(2, "\\x{0B}");
        return OkStatus();
      case 'A':
      case 'z':
        if (in_class_) return Refuse("an anchor in a class");
        Copy(2);
        return OkStatus();
      case 'p':
      case 'P':
        return Property();
      case 'x':
        if (Peek(2) == '{') return BracedNumber();
        return HexNumber(2);
      case 'u':
        return HexNumber(4);
      default:
        if (c == '\0' || IsAlphanumeric(c))
          return Refuse("the escape " + Quoted(in_.substr(position_, 2)));
        Copy(2);
        return OkStatus();
    }
  }

  Status HexNumber(size_t num_digits) {
    for (size_t i = 0; i < num_digits; ++i) {
      if (!IsHexDigit(Peek(2 + i))) return Refuse("a number of too few digits");
    }
    out_ += "\\x{" + std::string(in_.substr(position_ + 2, num_digits)) + "}";
    position_ += 2 + num_digits;
    return OkStatus();
  }

  Status BracedNumber() {
    size_t end = 3;
    while (IsHexDigit(Peek(end))) ++end;
    if (Peek(end) != '}' || end == 3) return Refuse("a number without digits");
    Copy(end + 1);
    return OkStatus();
  }

  // A bare name that is no general category is a script; PCRE2 would take the wider "script
  // extensions" for it.
  Status Property() {
    if (Peek(2) != '{') return Refuse("a property without braces");
    const size_t close = in_.find('}', position_);
    if (close == std::string_view::npos) return Refuse("a property without an end");
    std::string_view name = in_.substr(position_ + 3, close - position_ - 3);
    bool negated = in_[position_ + 1] == 'P';
    if (!name.empty() && name.front() == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    bool plain = false;
    for (const std::string_view known : kGeneralCategories) plain |= known == name;
    for (const std::string_view known : kBinaryProperties) plain |= known == name;
    for (const char c : name) {
      if (!IsAlphanumeric(c) && c != '_') return Refuse("the property " + Quoted(name));
    }
    out_ += negated ? "\\P{" : "\\p{";
    if (!plain) out_ += "sc:";
    out_ += name;
    out_ += "}";
    position_ = close + 1;
    return OkStatus();
  }

  Status Group() {
    if (Peek(1) == '*') return Refuse("a verb");
    if (Peek(1) != '?') {
      Copy(1);
      return OkStatus();
    }
    switch (Peek(2)) {
      case ':':
      case '=':
      case '!':
      case '>':
        Copy(3);
        return OkStatus();
      case '<':
        if (Peek(3) != '=' && Peek(3) != '!') return Refuse("a named group");
        Copy(4);
        return OkStatus();
      case 'i':
        if (Peek(3) != ':') return Refuse("a flag that is not (?i:...)");
        Copy(4);
        return OkStatus();
      default:
        return Refuse("the group " + Quoted(in_.substr(position_, 3)));
    }
  }

  Status Interval() {
    size_t end = 1;
    while (Peek(end) >= '0' && Peek(end) <= '9') ++end;
    const bool from_zero = end == 1;
    if (Peek(end) == ',') ++end;
    while (Peek(end) >= '0' && Peek(end) <= '9') ++end;
    if (Peek(end) != '}' || end == 1 || (from_zero && end == 2)) {
      return Refuse("a brace that is no interval");
    }
    if (Peek(end + 1) == '+') return Refuse("a \"+\" after an interval");
    if (from_zero) {
      Replace(1, "{0");
      Copy(end);
    } else {
      Copy(end + 1);
    }
    return OkStatus();
  }

  std::string_view in_;
  std::string out_;
  size_t position_ = 0;
  bool in_class_ = false;
  size_t class_start_ = 0;
};

}  // namespace

Result<std::string> TranslateExpression(std::string_view expression) {
  return Translator(expression).Run();
}

}  // namespace fastkv
