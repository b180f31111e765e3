#include "eval/scorers/python_literal.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "eval/scorers/python_string.h"

namespace fastkv {
namespace {

using Kind = PythonValue::Kind;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A list, tuple or dictionary that has not ended yet.
struct OpenContainer {
  char close = 0;
  PythonValue value;
  bool expects_value = true;   // or a comma, a colon or the end
  bool parenthesised = false;  // ( ) without a comma is no tuple
};

class LiteralParser {
 public:
  LiteralParser(std::string_view source, size_t position) : source_(source), position_(position) {}

  size_t position() const { return position_; }

  Result<PythonValue> Parse() {
    while (true) {
      SkipBlank();
      if (AtEnd()) return Wrong("the literal does not end");
      if (open_.empty() || open_.back().expects_value) {
        const char c = source_[position_];
        if (c == '[' || c == '{' || c == '(') {
          if (open_.size() >= limits::kMaxJsonDepth) {
            return LimitError("expected at most " + std::to_string(limits::kMaxJsonDepth) +
                              " levels of nesting, got more on line " + Line());
          }
          Open(c);
          continue;
        }
        if (!open_.empty() && c == open_.back().close && MayEndHere()) {
          if (CloseContainer()) return std::move(done_);
          continue;
        }
        PythonValue value;
        FASTKV_RETURN_IF_ERROR(ReadScalar(value));
        if (Add(std::move(value))) return std::move(done_);
        continue;
      }
      FASTKV_RETURN_IF_ERROR(ReadSeparator());
      if (finished_) return std::move(done_);
    }
  }

 private:
  bool AtEnd() const { return position_ >= source_.size(); }

  std::string Line() const {
    const std::string_view before = source_.substr(0, position_);
    return std::to_string(1 + std::count(before.begin(), before.end(), '\n'));
  }
  Status Wrong(const std::string& what) const { return FormatError(what + " on line " + Line()); }

  // White space, comments and joined lines; inside brackets lines do not matter.
  void SkipBlank() {
    while (!AtEnd()) {
      const char c = source_[position_];
      if (c == '#') {
        position_ = std::min(source_.find('\n', position_), source_.size());
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\n') {
        ++position_;
      } else if (c == '\\' && source_.substr(position_ + 1).starts_with('\n')) {
        position_ += 2;
      } else {
        return;
      }
    }
  }

  void Open(char c) {
    OpenContainer container;
    container.value.kind = c == '{' ? Kind::kDict : Kind::kList;
    container.close = c == '{' ? '}' : c == '[' ? ']' : ')';
    container.parenthesised = c == '(';
    open_.push_back(std::move(container));
    ++position_;
  }

  // After a comma or at once; in a dictionary not between a key and its value.
  bool MayEndHere() const {
    const OpenContainer& container = open_.back();
    return container.value.kind != Kind::kDict || container.value.items.size() % 2 == 0;
  }

  // Whether that completes the whole literal.
  bool CloseContainer() {
    ++position_;
    OpenContainer container = std::move(open_.back());
    open_.pop_back();
    if (container.parenthesised && container.value.items.size() == 1) {
      PythonValue inner = std::move(container.value.items[0]);
      return Add(std::move(inner));
    }
    return Add(std::move(container.value));
  }

  bool Add(PythonValue value) {
    if (open_.empty()) {
      done_ = std::move(value);
      finished_ = true;
      return true;
    }
    open_.back().value.items.push_back(std::move(value));
    open_.back().expects_value = false;
    return false;
  }

  // What may follow a value inside a container: the end, a comma, a colon after a key, or what
  // joins another string to it.
  Status ReadSeparator() {
    OpenContainer& container = open_.back();
    PythonValue& last = container.value.items.back();
    const char c = source_[position_];
    const bool in_dict = container.value.kind == Kind::kDict;
    const bool after_key = in_dict && container.value.items.size() % 2 == 1;
    if (last.kind == Kind::kString && (c == '+' || PythonStringBegins(source_, position_))) {
      if (c == '+') {
        ++position_;
        SkipBlank();
      }
      if (!PythonStringBegins(source_, position_)) return Wrong("expected a string after +");
      return AppendString(last.text);
    }
    if (after_key) {
      if (c != ':') return Wrong("expected a colon after a key");
    } else if (c == container.close) {
      CloseContainer();
      return OkStatus();
    } else if (c != ',') {
      return Wrong("expected a comma or the end of a list or dictionary");
    }
    container.parenthesised = container.parenthesised && c != ',';
    container.expects_value = true;
    ++position_;
    return OkStatus();
  }

  Status AppendString(std::string& text) {
    Result<std::string> more = ReadPythonString(source_, position_);
    if (!more.ok()) return Wrong(more.status().message());
    text += more.value();
    return OkStatus();
  }

  Status ReadScalar(PythonValue& value) {
    if (PythonStringBegins(source_, position_)) {
      value.kind = Kind::kString;
      return AppendString(value.text);
    }
    size_t end = position_;
    while (end < source_.size() && (IsNameCharacter(source_[end]) || source_[end] == '.' ||
                                    source_[end] == '+' || source_[end] == '-')) {
      // A sign belongs to a number at its beginning and after the e of an exponent.
      const bool is_sign = source_[end] == '+' || source_[end] == '-';
      if (is_sign && end > position_ && source_[end - 1] != 'e' && source_[end - 1] != 'E') break;
      ++end;
    }
    const std::string_view word = source_.substr(position_, end - position_);
    if (word == "True" || word == "False") {
      value.kind = Kind::kBool;
      value.number = word == "True" ? 1 : 0;
    } else if (word != "None") {
      value.kind = Kind::kNumber;
      const std::string_view digits = word.starts_with('+') ? word.substr(1) : word;
      const auto [rest, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), value.number);
      if (error != std::errc() || rest != digits.data() + digits.size() ||
          !std::isfinite(value.number)) {
        return Wrong("expected a literal of strings, numbers, lists and dictionaries, got '" +
                     std::string(word.substr(0, 32)) + "'");
      }
    }
    position_ = end;
    return OkStatus();
  }

  std::string_view source_;
  size_t position_;
  std::vector<OpenContainer> open_;
  PythonValue done_;
  bool finished_ = false;
};

// Where the right side of `name = ...` begins, on a line that is not indented.
size_t FindAssignment(std::string_view source, std::string_view name) {
  for (size_t line = 0; line < source.size();) {
    std::string_view rest = source.substr(line);
    if (rest.starts_with(name)) {
      const size_t equals = rest.find_first_not_of(" \t", name.size());
      if (equals != rest.npos && rest[equals] == '=' && !rest.substr(equals).starts_with("==")) {
        return line + equals + 1;
      }
    }
    const size_t newline = source.find('\n', line);
    line = newline == source.npos ? source.size() : newline + 1;
  }
  return source.npos;
}

}  // namespace

const PythonValue* PythonValue::Find(std::string_view key) const {
  for (size_t i = items.size(); i >= 2; i -= 2) {
    if (items[i - 2].kind == Kind::kString && items[i - 2].text == key) return &items[i - 1];
  }
  return nullptr;
}

Result<PythonValue> ParsePythonLiteral(std::string_view source, size_t& position) {
  LiteralParser parser(source, position);
  FASTKV_ASSIGN_OR_RETURN(PythonValue value, parser.Parse());
  position = parser.position();
  return value;
}

Result<PythonValue> ParsePythonAssignment(std::string_view source, std::string_view name) {
  size_t position = FindAssignment(source, name);
  if (position == source.npos) {
    return NotFoundError("expected a line '" + std::string(name) + " = ...', found none");
  }
  return ParsePythonLiteral(source, position);
}

}  // namespace fastkv
