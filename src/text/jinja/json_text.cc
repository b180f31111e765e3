// json.dumps of Python, as Transformers' `tojson` calls it.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja/operators.h"
#include "text/jinja/represent.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime* runtime, const JsonStyle& style, TextBuilder* builder)
      : runtime_(*runtime), style_(style), builder_(builder) {}

  // NOLINTBEGIN(misc-no-recursion): bounded by kMaxValueDepth
  Status Append(const Value& value, int depth) {
    if (depth > kMaxValueDepth) return LimitError("a value is nested too deep for tojson");
    FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(1));
    FASTKV_RETURN_IF_ERROR(builder_->status());
    switch (value.kind()) {
      case Kind::kNone:
        builder_->Append("null", true);
        return OkStatus();
      case Kind::kBool:
        builder_->Append(value.boolean() ? "true" : "false", true);
        return OkStatus();
      case Kind::kInt:
        builder_->Append(IntegerText(value.integer()), true);
        return OkStatus();
      case Kind::kFloat:
        builder_->Append(FloatJson(value.real()), true);
        return OkStatus();
      case Kind::kString:
        AppendString(value.text());
        return OkStatus();
      case Kind::kList:
      case Kind::kTuple:
        return AppendList(value.list().items, depth);
      case Kind::kDict:
        return AppendDict(value.dict(), depth);
      default:
        return TypeError("tojson: an object of type " + std::string(TypeName(value)) +
                         " is not JSON serializable");
    }
  }

 private:
  Status AppendList(const std::vector<Value>& items, int depth) {
    if (items.empty()) {
      Put("[]");
      return OkStatus();
    }
    Put("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) builder_->Append(style_.item_separator);
      BreakLine(depth + 1);
      FASTKV_RETURN_IF_ERROR(Append(items[i], depth + 1));
    }
    BreakLine(depth);
    Put("]");
    return OkStatus();
  }

  Status AppendDict(const DictObject& dict, int depth) {
    if (dict.entries.empty()) {
      Put("{}");
      return OkStatus();
    }
    std::vector<size_t> order(dict.entries.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (style_.sort_keys) {
      std::vector<Value> keys;
      for (const auto& entry : dict.entries) keys.push_back(entry.first);
      FASTKV_ASSIGN_OR_RETURN(order, StableOrder(runtime_, keys, false));
    }
    Put("{");
    for (size_t i = 0; i < order.size(); ++i) {
      const auto& [key, value] = dict.entries[order[i]];
      if (i > 0) builder_->Append(style_.item_separator);
      BreakLine(depth + 1);
      FASTKV_RETURN_IF_ERROR(AppendKey(key));
      builder_->Append(style_.key_separator);
      FASTKV_RETURN_IF_ERROR(Append(value, depth + 1));
    }
    BreakLine(depth);
    Put("}");
    return OkStatus();
  }
  // NOLINTEND(misc-no-recursion)

  Status AppendKey(const Value& key) {
    if (key.IsString()) {
      AppendString(key.text());
      return OkStatus();
    }
    if (!key.IsNumber() && !key.IsNone()) {
      return TypeError("tojson: keys must be str, int, float, bool or None, not " +
                       std::string(TypeName(key)));
    }
    // Other keys become strings that spell their JSON.
    Put("\"");
    FASTKV_RETURN_IF_ERROR(Append(key, 0));
    Put("\"");
    return OkStatus();
  }

  void AppendString(Text text) {
    Put("\"");
    const std::string_view view = text.view();
    TrustCursor cursor(text);
    size_t plain = 0;  // start of the bytes that go over as they are
    for (size_t offset = 0; offset < view.size();) {
      const DecodedPoint point = DecodeUtf8(view, offset);
      const bool escaped = point.value < 0x20 || point.value == '"' || point.value == '\\' ||
                           (style_.ensure_ascii && point.value > 0x7E);
      if (escaped) {
        AppendPlain(text, plain, offset);
        AppendEscape(point.value, cursor.TrustedAt(offset));
        plain = offset + point.size;
      }
      offset += point.size;
    }
    AppendPlain(text, plain, view.size());
    Put("\"");
  }

  void AppendPlain(Text text, size_t begin, size_t end) {
    if (end > begin) builder_->Append(text.Slice(begin, end - begin));
  }

  void AppendEscape(char32_t c, bool trusted) {
    const auto put_unit = [&](unsigned unit) {
      char escape[16];
      std::snprintf(escape, sizeof(escape), "\\u%04x", unit);
      builder_->Append(escape, trusted);
    };
    switch (c) {
      case '"':
        return builder_->Append("\\\"", trusted);
      case '\\':
        return builder_->Append("\\\\", trusted);
      case '\n':
        return builder_->Append("\\n", trusted);
      case '\r':
        return builder_->Append("\\r", trusted);
      case '\t':
        return builder_->Append("\\t", trusted);
      case '\f':
        return builder_->Append("\\f", trusted);
      case '\b':
        return builder_->Append("\\b", trusted);
      default:
        break;
    }
    if (c < 0x10000) return put_unit(static_cast<unsigned>(c));
    put_unit(static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
    put_unit(static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
  }

  static std::string FloatJson(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return FloatText(value);
  }

  void Put(std::string_view text) { builder_->Append(text, false); }

  void BreakLine(int depth) {
    if (!style_.indented) return;
    Put("\n");
    for (int i = 0; i < depth; ++i) builder_->Append(style_.indent);
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  TextBuilder* builder_;
};

}  // namespace

Status AppendJson(Runtime& runtime, const Value& value, const JsonStyle& style,
                  TextBuilder* builder) {
  FASTKV_RETURN_IF_ERROR(JsonWriter(&runtime, style, builder).Append(value, 0));
  return builder->status();
}

}  // namespace fastkv::jinja
