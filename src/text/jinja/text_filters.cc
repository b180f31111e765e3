// Filters that give text.
#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/represent.h"
#include "text/jinja/text_operations.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

template <CaseChange kChange>
Result<Value> Change(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("the filter", arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  return ChangeCase(runtime, text, kChange);
}

// Every word begins large; words begin after white space and - ( { [ <.
Result<Value> Title(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("title", arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  const std::string_view view = text.view();
  std::vector<Text> parts;
  size_t begin = 0;
  while (begin < view.size()) {
    const auto separates = [&](size_t offset) {
      const char32_t c = DecodeUtf8(view, offset).value;
      return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || IsSpace(c);
    };
    const bool separator = separates(begin);
    size_t end = begin;
    while (end < view.size() && separates(end) == separator) end += DecodeUtf8(view, end).size;
    if (separator) {
      parts.push_back(text.Slice(begin, end - begin));
    } else {
      const size_t first = DecodeUtf8(view, begin).size;
      FASTKV_ASSIGN_OR_RETURN(const Value head,
                              ChangeCase(runtime, text.Slice(begin, first), CaseChange::kUpper));
      FASTKV_ASSIGN_OR_RETURN(
          const Value tail,
          ChangeCase(runtime, text.Slice(begin + first, end - begin - first), CaseChange::kLower));
      parts.push_back(head.text());
      parts.push_back(tail.text());
    }
    begin = end;
  }
  return Joined(runtime, parts, {});
}

Result<Value> Trim(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("trim", {"chars"}, 0, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  if (bound[0].IsMissing() || bound[0].IsNone()) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(text.size));
    return Value::String(Strip(text, std::nullopt, Side::kBoth));
  }
  FASTKV_ASSIGN_OR_RETURN(const Text characters, AsText(bound[0], "the argument of trim"));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(uint64_t{characters.size} * text.size));
  return Value::String(Strip(text, characters.view(), Side::kBoth));
}

Result<Value> ToString(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("string", arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  return Value::String(text);
}

Result<Value> ReplaceAll(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("replace", {"old", "new", "count"}, 2, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  FASTKV_ASSIGN_OR_RETURN(const Text old, ToText(runtime, bound[0]));
  FASTKV_ASSIGN_OR_RETURN(const Text with, ToText(runtime, bound[1]));
  int64_t count = -1;
  if (!bound[2].IsMissing() && !bound[2].IsNone()) {
    FASTKV_ASSIGN_OR_RETURN(count, ToIndex(bound[2], "the count of replace"));
  }
  return Replace(runtime, text, old, with, count);
}

Result<Value> Join(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("join", {"d", "attribute"}, 0, arguments));
  Text separator;
  if (!bound[0].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(separator, ToText(runtime, bound[0]));
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  std::vector<Text> parts;
  for (const Value& item : items) {
    FASTKV_ASSIGN_OR_RETURN(const Value member, GetPath(runtime, item, bound[1]));
    FASTKV_ASSIGN_OR_RETURN(const Text part, ToText(runtime, member));
    parts.push_back(part);
  }
  return Joined(runtime, parts, separator);
}

Result<Value> Center(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("center", {"width"}, 0, arguments));
  int64_t width = 80;
  if (!bound[0].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(width, ToIndex(bound[0], "width"));
  }
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  const auto length = static_cast<int64_t>(CountCodePoints(text.view()));
  if (length >= width) return Value::String(text);
  const int64_t margin = width - length;
  const int64_t left = margin / 2 + (margin & width & 1);
  FASTKV_ASSIGN_OR_RETURN(const Text fill, Literal(runtime, " "));
  return Pad(runtime, text, {left, margin - left}, fill);
}

Result<Value> Indent(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("indent", {"width", "first", "blank"}, 0, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, AsText(value, "what indent is given"));
  Text indent;
  if (!bound[0].IsMissing() && bound[0].IsString()) {
    indent = bound[0].text();
  } else {
    int64_t width = 4;
    if (!bound[0].IsMissing()) {
      FASTKV_ASSIGN_OR_RETURN(width, ToIndex(bound[0], "width"));
    }
    FASTKV_ASSIGN_OR_RETURN(const Text space, Literal(runtime, " "));
    FASTKV_ASSIGN_OR_RETURN(const Value spaces,
                            Pad(runtime, {}, {std::max<int64_t>(width, 0), 0}, space));
    indent = spaces.text();
  }
  const bool first = !bound[1].IsMissing() && IsTrue(bound[1]);
  const bool blank = !bound[2].IsMissing() && IsTrue(bound[2]);
  FASTKV_RETURN_IF_ERROR(runtime.budget().Heap(uint64_t{text.size} * sizeof(Text)));
  // jinja2 puts a line end after the text before it takes it apart, so that an empty text is one
  // empty line and a line end at the end makes one more.
  FASTKV_ASSIGN_OR_RETURN(const Text line_end, Literal(runtime, "\n"));
  FASTKV_ASSIGN_OR_RETURN(const Value ended, Joined(runtime, {text, line_end}, {}));
  const std::vector<Text> lines = SplitLines(ended.text(), false);
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  for (size_t i = 0; i < lines.size() && builder.status().ok(); ++i) {
    if (i > 0) builder.Append("\n", true);
    if (i == 0 ? first : blank || !lines[i].empty()) builder.Append(indent);
    builder.Append(lines[i]);
  }
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

Result<Value> Truncate(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("truncate", {"length", "killwords", "end", "leeway"}, 0, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, AsText(value, "what truncate is given"));
  int64_t length = 255;
  int64_t leeway = 5;
  FASTKV_ASSIGN_OR_RETURN(Text end, Literal(runtime, "..."));
  if (!bound[0].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(length, ToIndex(bound[0], "length"));
  }
  if (!bound[2].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(end, AsText(bound[2], "end"));
  }
  if (!bound[3].IsMissing() && !bound[3].IsNone()) {
    FASTKV_ASSIGN_OR_RETURN(leeway, ToIndex(bound[3], "leeway"));
  }
  const auto end_length = static_cast<int64_t>(CountCodePoints(end.view()));
  if (length < end_length || leeway < 0) {
    return InvalidArgumentError(
        "truncate: the length is less than that of its end, or the leeway < 0");
  }
  if (static_cast<int64_t>(CountCodePoints(text.view())) - leeway <= length) {
    return Value::String(text);
  }
  Text head =
      text.Slice(0, OffsetOfCodePoint(text.view(), static_cast<size_t>(length - end_length)));
  if (bound[1].IsMissing() || !IsTrue(bound[1])) {
    const size_t space = head.view().rfind(' ');
    if (space != std::string_view::npos) head = head.Slice(0, space);
  }
  return Joined(runtime, {head, end}, {});
}

Result<Value> WordCount(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("wordcount", arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(text.size));
  const std::string_view view = text.view();
  int64_t words = 0;
  bool in_word = false;
  for (size_t offset = 0; offset < view.size();) {
    const DecodedPoint point = DecodeUtf8(view, offset);
    const bool word = IsWordCharacter(point.value);
    if (word && !in_word) ++words;
    in_word = word;
    offset += point.size;
  }
  return Value::Int(words);
}

Result<Value> Format(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  if (!arguments.positional.empty() && !arguments.keywords.empty()) {
    return TypeError("format cannot take positional and keyword arguments at the same time");
  }
  if (arguments.keywords.empty()) {
    FASTKV_ASSIGN_OR_RETURN(const Value tuple,
                            runtime.heap.NewList(arguments.positional, Kind::kTuple));
    return FormatPercent(runtime, text, tuple);
  }
  FASTKV_ASSIGN_OR_RETURN(DictObject * dict, runtime.heap.New<DictObject>());
  for (const auto& [name, argument] : arguments.keywords) {
    FASTKV_ASSIGN_OR_RETURN(const Value key, runtime.heap.NewString(name, true));
    FASTKV_RETURN_IF_ERROR(Insert(runtime, dict, key, argument));
  }
  return FormatPercent(runtime, text, Value::Of(Kind::kDict, dict));
}

// Separators of tojson: a pair of strings.
Status Separators(const Value& given, JsonStyle* style) {
  if (!given.IsSequence() || given.list().items.size() != 2) {
    return TypeError("tojson: separators must be two strings");
  }
  FASTKV_ASSIGN_OR_RETURN(style->item_separator, AsText(given.list().items[0], "a separator"));
  FASTKV_ASSIGN_OR_RETURN(style->key_separator, AsText(given.list().items[1], "a separator"));
  return OkStatus();
}

Result<Value> ToJson(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  // In the order of Transformers' function.
  FASTKV_ASSIGN_OR_RETURN(
      const auto bound,
      Bind("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0, arguments));
  JsonStyle style;
  style.ensure_ascii = !bound[0].IsMissing() && IsTrue(bound[0]);
  style.indented = !bound[1].IsMissing() && !bound[1].IsNone();
  style.sort_keys = !bound[3].IsMissing() && IsTrue(bound[3]);
  if (style.indented && bound[1].IsString()) {
    style.indent = bound[1].text();
  } else if (style.indented) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t width, ToIndex(bound[1], "indent"));
    FASTKV_ASSIGN_OR_RETURN(const Text space, Literal(runtime, " "));
    FASTKV_ASSIGN_OR_RETURN(const Value spaces,
                            Pad(runtime, {}, {std::max<int64_t>(width, 0), 0}, space));
    style.indent = spaces.text();
  }
  if (bound[2].IsMissing() || bound[2].IsNone()) {
    FASTKV_ASSIGN_OR_RETURN(const Value item,
                            runtime.heap.NewString(style.indented ? "," : ", ", false));
    FASTKV_ASSIGN_OR_RETURN(const Value key, runtime.heap.NewString(": ", false));
    style.item_separator = item.text();
    style.key_separator = key.text();
  } else {
    FASTKV_RETURN_IF_ERROR(Separators(bound[2], &style));
  }
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  FASTKV_RETURN_IF_ERROR(AppendJson(runtime, value, style, &builder));
  return Value::String(builder.text());
}

constexpr Filter kFilters[] = {
    {"capitalize", Change<CaseChange::kCapitalize>},
    {"center", Center},
    {"format", Format},
    {"indent", Indent},
    {"join", Join},
    {"lower", Change<CaseChange::kLower>},
    {"replace", ReplaceAll},
    // Without HTML escaping a safe string is a string.
    {"safe", ToString},
    {"string", ToString},
    {"title", Title},
    {"tojson", ToJson},
    {"trim", Trim},
    {"truncate", Truncate},
    {"upper", Change<CaseChange::kUpper>},
    {"wordcount", WordCount},
};

}  // namespace

std::span<const Filter> TextFilters() { return kFilters; }

}  // namespace fastkv::jinja
