#include "text/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/operators.h"
#include "text/jinja/represent.h"
#include "text/jinja/text_operations.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

// Far above what a prompt needs, and small enough for snprintf.
constexpr int64_t kMaxPrecision = 300;

struct Directive {
  bool left = false;
  bool plus = false;
  bool space = false;
  bool alternate = false;
  bool zero = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 's';
};

std::string FormatInteger(const Directive& directive, Int128 value) {
  std::string digits;
  const bool negative = value < 0;
  if (directive.type == 'd' || directive.type == 'i' || directive.type == 'u') {
    digits = IntegerText(value);
    if (negative) digits.erase(0, 1);
  } else {
    const int base = directive.type == 'o' ? 8 : 16;
    const char* symbols = directive.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    do {
      const int digit = static_cast<int>(value % base);
      digits.push_back(symbols[digit < 0 ? -digit : digit]);
      value /= base;
    } while (value != 0);
    std::reverse(digits.begin(), digits.end());
  }
  if (directive.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(directive.precision) - digits.size(), '0');
  }
  std::string prefix = negative ? "-" : directive.plus ? "+" : directive.space ? " " : "";
  if (directive.alternate && directive.type == 'o') prefix += "0o";
  if (directive.alternate && directive.type == 'x') prefix += "0x";
  if (directive.alternate && directive.type == 'X') prefix += "0X";
  const auto width = static_cast<size_t>(directive.width);
  if (directive.zero && !directive.left && prefix.size() + digits.size() < width) {
    digits.insert(0, width - prefix.size() - digits.size(), '0');
  }
  return prefix + digits;
}

std::string FormatReal(const Directive& directive, double value) {
  std::string format = "%";
  if (directive.plus) format += '+';
  if (directive.space) format += ' ';
  if (directive.alternate) format += '#';
  format += ".*";
  format += directive.type;
  const int precision = static_cast<int>(directive.precision < 0 ? 6 : directive.precision);
  char buffer[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  std::snprintf(buffer, sizeof(buffer), format.c_str(), precision, value);
#pragma GCC diagnostic pop
  std::string text = buffer;
  const size_t sign = text[0] == '-' || text[0] == '+' || text[0] == ' ' ? 1 : 0;
  const auto width = static_cast<size_t>(directive.width);
  if (directive.zero && !directive.left && std::isfinite(value) && text.size() < width) {
    text.insert(sign, width - text.size(), '0');
  }
  return text;
}

class PercentFormatter {
 public:
  PercentFormatter(Runtime* runtime, Text format, const Value& arguments, TextBuilder* builder)
      : runtime_(*runtime), format_(format), arguments_(arguments), builder_(builder) {}

  Status Run() {
    const std::string_view view = format_.view();
    size_t offset = 0;
    while (offset < view.size()) {
      const size_t percent = std::min(view.find('%', offset), view.size());
      builder_->Append(format_.Slice(offset, percent - offset));
      offset = percent;
      if (percent == view.size()) break;
      FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(1));
      FASTKV_RETURN_IF_ERROR(One(view, &offset));
    }
    const bool used_up = arguments_.Is(Kind::kTuple) ? next_ == arguments_.list().items.size()
                                                     : single_used_ || arguments_.Is(Kind::kDict) ||
                                                           arguments_.IsSequence();
    if (!used_up) return TypeError("not all arguments are used by the text before '%'");
    return builder_->status();
  }

 private:
  static Status Cut() { return InvalidArgumentError("a '%' directive is cut"); }

  Status Number(std::string_view view, size_t* offset, int64_t* number) {
    if (*offset < view.size() && view[*offset] == '*') {
      ++*offset;
      FASTKV_ASSIGN_OR_RETURN(const Value value, NextArgument());
      FASTKV_ASSIGN_OR_RETURN(*number, ToIndex(value, "'*' of a '%' directive"));
      return OkStatus();
    }
    *number = 0;
    for (; *offset < view.size() && view[*offset] >= '0' && view[*offset] <= '9'; ++*offset) {
      *number = std::min<int64_t>(*number * 10 + (view[*offset] - '0'), INT32_MAX);
    }
    return OkStatus();
  }

  // The directive that begins at `*offset`.
  Status One(std::string_view view, size_t* offset) {
    ++*offset;
    Directive directive;
    Value named;
    if (*offset < view.size() && view[*offset] == '(') {
      const size_t end = view.find(')', *offset);
      if (end == std::string_view::npos) return Cut();
      if (!arguments_.Is(Kind::kDict)) return TypeError("'%(name)s' needs a dictionary");
      const Value* found = arguments_.dict().Find(view.substr(*offset + 1, end - *offset - 1));
      if (found == nullptr) return InvalidArgumentError("'%(name)s' names a missing key");
      named = *found;
      *offset = end + 1;
    }
    for (; *offset < view.size(); ++*offset) {
      const char flag = view[*offset];
      if (flag == '-') {
        directive.left = true;
      } else if (flag == '+') {
        directive.plus = true;
      } else if (flag == ' ') {
        directive.space = true;
      } else if (flag == '#') {
        directive.alternate = true;
      } else if (flag == '0') {
        directive.zero = true;
      } else {
        break;
      }
    }
    FASTKV_RETURN_IF_ERROR(Number(view, offset, &directive.width));
    if (directive.width < 0) {
      directive.left = true;
      directive.width = directive.width < -INT32_MAX ? INT32_MAX : -directive.width;
    }
    if (*offset < view.size() && view[*offset] == '.') {
      ++*offset;
      FASTKV_RETURN_IF_ERROR(Number(view, offset, &directive.precision));
      directive.precision = std::max<int64_t>(directive.precision, 0);
    }
    while (*offset < view.size() &&
           (view[*offset] == 'l' || view[*offset] == 'h' || view[*offset] == 'L')) {
      ++*offset;
    }
    if (*offset >= view.size()) return Cut();
    directive.type = view[*offset];
    ++*offset;
    if (directive.type == '%') {
      builder_->Append("%", true);
      return OkStatus();
    }
    if (named.IsMissing()) {
      FASTKV_ASSIGN_OR_RETURN(named, NextArgument());
    }
    return Write(directive, named);
  }

  Result<Value> NextArgument() {
    if (arguments_.Is(Kind::kTuple)) {
      const std::vector<Value>& items = arguments_.list().items;
      if (next_ < items.size()) return items[next_++];
    } else if (!single_used_) {
      single_used_ = true;
      return arguments_;
    }
    return TypeError("not enough arguments for the '%' directives");
  }

  Status Write(const Directive& directive, const Value& value) {
    // Before anything of that size is made.
    FASTKV_RETURN_IF_ERROR(runtime_.budget().CheckHeap(static_cast<uint64_t>(directive.width)));
    switch (directive.type) {
      case 's':
      case 'r':
      case 'a':
        return WriteText(directive, value);
      case 'c': {
        if (value.IsString() && CountCodePoints(value.view()) == 1)
          return WriteText(directive, value);
        return UnsupportedError("'%c' of a number is not supported");
      }
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X': {
        const bool decimal =
            directive.type == 'd' || directive.type == 'i' || directive.type == 'u';
        if (directive.precision > kMaxPrecision) return TooPrecise();
        if (value.IsIntegral())
          return WritePlain(directive, FormatInteger(directive, value.integer()));
        if (decimal && value.Is(Kind::kFloat) && std::abs(value.real()) < 1e38) {
          return WritePlain(directive, FormatInteger(directive, static_cast<Int128>(value.real())));
        }
        return TypeError("'%d' needs a number, not " + std::string(TypeName(value)));
      }
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (directive.precision > kMaxPrecision) return TooPrecise();
        if (!value.IsNumber()) {
          return TypeError("'%f' needs a number, not " + std::string(TypeName(value)));
        }
        return WritePlain(directive, FormatReal(directive, value.number()));
      default:
        return InvalidArgumentError("unknown '%' directive");
    }
  }

  static Status TooPrecise() {
    return LimitError("a '%' directive asks for more than " + std::to_string(kMaxPrecision) +
                      " digits");
  }

  Status WriteText(const Directive& directive, const Value& value) {
    FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime_.heap.NewBuffer());
    TextBuilder one(buffer, &runtime_.budget());
    if (directive.type == 'a') return UnsupportedError("'%a' is not supported");
    FASTKV_RETURN_IF_ERROR(directive.type == 'r' ? AppendRepresentation(runtime_, value, &one)
                                                 : AppendText(runtime_, value, &one));
    Text text = one.text();
    if (directive.precision >= 0) {
      text =
          text.Slice(0, OffsetOfCodePoint(text.view(), static_cast<size_t>(directive.precision)));
    }
    const auto length = static_cast<int64_t>(CountCodePoints(text.view()));
    FillTo(directive, length, false);
    builder_->Append(text);
    FillTo(directive, length, true);
    return builder_->status();
  }

  Status WritePlain(const Directive& directive, const std::string& text) {
    const auto length = static_cast<int64_t>(text.size());
    FillTo(directive, length, false);
    builder_->Append(text, true);
    FillTo(directive, length, true);
    return builder_->status();
  }

  void FillTo(const Directive& directive, int64_t length, bool after) {
    if (directive.left != after || length >= directive.width) return;
    builder_->Append(std::string(static_cast<size_t>(directive.width - length), ' '), true);
  }

  Runtime& runtime_;
  Text format_;
  const Value& arguments_;
  TextBuilder* builder_;
  size_t next_ = 0;
  bool single_used_ = false;
};

// A field of format(): what stands between the braces.
Result<Value> FieldValue(std::string_view name, const CallArguments& arguments,
                         int64_t* automatic) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) {
    int64_t index = *automatic;
    if (name.empty()) {
      if (index < 0) return InvalidArgumentError("format(): numbered and empty fields are mixed");
      ++*automatic;
    } else {
      const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
      if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) {
        return UnsupportedError("format(): only plain fields such as {} and {name} are supported");
      }
      if (*automatic > 0) {
        return InvalidArgumentError("format(): numbered and empty fields are mixed");
      }
      *automatic = -1;
    }
    if (index < 0 || static_cast<size_t>(index) >= arguments.positional.size()) {
      return InvalidArgumentError("format(): a field has no argument");
    }
    return arguments.positional[static_cast<size_t>(index)];
  }
  if (name.find_first_of(".[") != std::string_view::npos) {
    return UnsupportedError("format(): only plain fields such as {} and {name} are supported");
  }
  for (const auto& [keyword, value] : arguments.keywords) {
    if (keyword == name) return value;
  }
  return InvalidArgumentError("format(): there is no argument '" + std::string(name) + "'");
}

}  // namespace

Result<Value> FormatPercent(Runtime& runtime, const Text& format, const Value& arguments) {
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  FASTKV_RETURN_IF_ERROR(PercentFormatter(&runtime, format, arguments, &builder).Run());
  return Value::String(builder.text());
}

Result<Value> FormatBraces(Runtime& runtime, const Text& format, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  const std::string_view view = format.view();
  int64_t automatic = 0;  // -1 once a numbered field was seen
  for (size_t offset = 0; offset < view.size();) {
    FASTKV_RETURN_IF_ERROR(builder.status());
    const size_t brace = std::min(view.find_first_of("{}", offset), view.size());
    builder.Append(format.Slice(offset, brace - offset));
    offset = brace + 1;
    if (brace == view.size()) break;
    if (offset < view.size() && view[offset] == view[brace]) {
      builder.Append(format.Slice(brace, 1));
      ++offset;
      continue;
    }
    const size_t end = view.find('}', offset);
    if (view[brace] == '}' || end == std::string_view::npos) {
      return InvalidArgumentError("format(): a single brace");
    }
    std::string_view field = view.substr(offset, end - offset);
    offset = end + 1;
    bool represent = false;
    if (field.ends_with("!r") || field.ends_with("!s")) {
      represent = field.ends_with("!r");
      field.remove_suffix(2);
    }
    if (field.find_first_of(":!{") != std::string_view::npos) {
      return UnsupportedError("format(): format specifications in fields are not supported");
    }
    FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
    FASTKV_ASSIGN_OR_RETURN(const Value value, FieldValue(field, arguments, &automatic));
    FASTKV_RETURN_IF_ERROR(represent ? AppendRepresentation(runtime, value, &builder)
                                     : AppendText(runtime, value, &builder));
  }
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

}  // namespace fastkv::jinja
