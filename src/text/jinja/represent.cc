#include "text/jinja/represent.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/runtime_objects.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

void AppendQuoted(Text text, TextBuilder* builder) {
  const std::string_view view = text.view();
  const bool double_quotes =
      view.find('\'') != std::string_view::npos && view.find('"') == std::string_view::npos;
  const std::string_view quote = double_quotes ? "\"" : "'";
  builder->Append(quote, false);
  TrustCursor cursor(text);
  for (size_t offset = 0; offset < view.size();) {
    const DecodedPoint point = DecodeUtf8(view, offset);
    const bool trusted = cursor.TrustedAt(offset);
    const char32_t c = point.value;
    if (c == '\\' || (c == '\'' && !double_quotes)) {
      builder->Append("\\", trusted);
      builder->Append(view.substr(offset, 1), trusted);
    } else if (c == '\n') {
      builder->Append("\\n", trusted);
    } else if (c == '\r') {
      builder->Append("\\r", trusted);
    } else if (c == '\t') {
      builder->Append("\\t", trusted);
    } else if (IsPrintable(c)) {
      builder->Append(view.substr(offset, point.size), trusted);
    } else {
      char escape[16];
      std::snprintf(escape, sizeof(escape),
                    c < 0x100     ? "\\x%02x"
                    : c < 0x10000 ? "\\u%04x"
                                  : "\\U%08x",
                    static_cast<unsigned>(c));
      builder->Append(escape, trusted);
    }
    offset += point.size;
  }
  builder->Append(quote, false);
}

class Representer {
 public:
  Representer(Runtime* runtime, TextBuilder* builder) : runtime_(*runtime), builder_(builder) {}

  // NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxValueDepth
  Status Append(const Value& value, int depth) {
    if (depth > kMaxValueDepth) return LimitError("a value is nested too deep to be printed");
    FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(1));
    FASTKV_RETURN_IF_ERROR(builder_->status());
    switch (value.kind()) {
      case Kind::kString:
        AppendQuoted(value.text(), builder_);
        return OkStatus();
      case Kind::kUndefined:
        Put("Undefined");
        return OkStatus();
      case Kind::kList:
        return AppendItems(value.list().items, "[", "]", depth);
      case Kind::kTuple:
        return AppendItems(value.list().items, "(", value.list().items.size() == 1 ? ",)" : ")",
                           depth);
      case Kind::kDict:
        return AppendDict(value.dict(), depth);
      case Kind::kNamespace:
        Put("<Namespace ");
        FASTKV_RETURN_IF_ERROR(AppendDict(value.name_space().attributes, depth));
        Put(">");
        return OkStatus();
      case Kind::kDictView:
        return AppendView(value.dict_view(), depth);
      case Kind::kRange:
        return AppendRange(value.range());
      case Kind::kLoop: {
        FASTKV_ASSIGN_OR_RETURN(const int64_t length, value.loop().LengthOf(runtime_));
        Put("<LoopContext " + std::to_string(value.loop().index0 + 1) + "/" +
            std::to_string(length) + ">");
        return OkStatus();
      }
      case Kind::kMacro:
        Put("<Macro '" + value.macro().definition->macro->name + "'>");
        return OkStatus();
      default:
        return AppendText(runtime_, value, builder_);
    }
  }

 private:
  void Put(std::string_view text) { builder_->Append(text, false); }

  // NOLINTBEGIN(misc-no-recursion): bounded by kMaxValueDepth
  Status AppendItems(const std::vector<Value>& items, std::string_view open, std::string_view close,
                     int depth) {
    Put(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) Put(", ");
      FASTKV_RETURN_IF_ERROR(Append(items[i], depth + 1));
    }
    Put(close);
    return OkStatus();
  }

  Status AppendDict(const DictObject& dict, int depth) {
    Put("{");
    bool first = true;
    for (const auto& [key, value] : dict.entries) {
      if (!first) Put(", ");
      first = false;
      FASTKV_RETURN_IF_ERROR(Append(key, depth + 1));
      Put(": ");
      FASTKV_RETURN_IF_ERROR(Append(value, depth + 1));
    }
    Put("}");
    return OkStatus();
  }

  Status AppendView(const DictViewObject& view, int depth) {
    Put(view.what == DictViewObject::What::kItems    ? "dict_items(["
        : view.what == DictViewObject::What::kValues ? "dict_values(["
                                                     : "dict_keys([");
    bool first = true;
    for (const auto& [key, value] : view.dict->entries) {
      if (!first) Put(", ");
      first = false;
      if (view.what == DictViewObject::What::kItems) {
        Put("(");
        FASTKV_RETURN_IF_ERROR(Append(key, depth + 1));
        Put(", ");
        FASTKV_RETURN_IF_ERROR(Append(value, depth + 1));
        Put(")");
      } else {
        FASTKV_RETURN_IF_ERROR(
            Append(view.what == DictViewObject::What::kKeys ? key : value, depth + 1));
      }
    }
    Put("])");
    return OkStatus();
  }
  // NOLINTEND(misc-no-recursion)

  Status AppendRange(const RangeObject& range) {
    // Python prints the end that was given, which the length does not tell.
    const Int128 end = Int128{range.start} + Int128{range.step} * range.length;
    if (range.step != 1) return UnsupportedError("printing a range with a step is not supported");
    Put("range(" + IntegerText(range.start) + ", " + IntegerText(end) + ")");
    return OkStatus();
  }

  Runtime& runtime_;
  TextBuilder* builder_;
};

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view scientific(buffer, static_cast<size_t>(end - buffer));
  const size_t mark = scientific.find('e');
  const bool negative = scientific[0] == '-';
  std::string digits;
  for (const char c : scientific.substr(negative ? 1 : 0, mark - (negative ? 1 : 0))) {
    if (c != '.') digits.push_back(c);
  }
  // to_chars writes "+" before positive exponents, which from_chars does not read.
  const std::string_view exponent_text =
      scientific.substr(mark + (scientific[mark + 1] == '+' ? 2 : 1));
  int exponent = 0;
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);

  std::string text = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    text += digits.substr(0, 1);
    if (digits.size() > 1) text += "." + digits.substr(1);
    char suffix[16];
    std::snprintf(suffix, sizeof(suffix), "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return text + suffix;
  }
  if (exponent < 0)
    return text + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return text + digits + std::string(whole - digits.size(), '0') + ".0";
  return text + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string IntegerText(Int128 value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  std::string digits;
  for (; value != 0; value /= 10) {
    const int digit = static_cast<int>(value % 10);
    digits.push_back(static_cast<char>('0' + (digit < 0 ? -digit : digit)));
  }
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

Status AppendText(Runtime& runtime, const Value& value, TextBuilder* builder) {
  switch (value.kind()) {
    case Kind::kUndefined:
      break;
    case Kind::kNone:
      builder->Append("None", true);
      break;
    case Kind::kBool:
      builder->Append(value.boolean() ? "True" : "False", true);
      break;
    case Kind::kInt:
      builder->Append(IntegerText(value.integer()), true);
      break;
    case Kind::kFloat:
      builder->Append(FloatText(value.real()), true);
      break;
    case Kind::kString:
      builder->Append(value.text());
      break;
    case Kind::kMissing:
    case Kind::kIterator:
    case Kind::kMethod:
    case Kind::kFunction:
    case Kind::kCycler:
    case Kind::kJoiner:
      return UnsupportedError("printing a '" + std::string(TypeName(value)) +
                              "' object gives a memory address; use |list to print its items");
    default:
      return AppendRepresentation(runtime, value, builder);
  }
  return builder->status();
}

Status AppendRepresentation(Runtime& runtime, const Value& value, TextBuilder* builder) {
  FASTKV_RETURN_IF_ERROR(Representer(&runtime, builder).Append(value, 0));
  return builder->status();
}

Result<Text> ToText(Runtime& runtime, const Value& value) {
  if (value.IsString()) return value.text();
  if (value.IsUndefined()) return Text();
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  FASTKV_RETURN_IF_ERROR(AppendText(runtime, value, &builder));
  return builder.text();
}

}  // namespace fastkv::jinja
