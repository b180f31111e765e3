// Methods of strings that make other strings or lists of them.
#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/iterator.h"
#include "text/jinja/methods.h"
#include "text/jinja/text_operations.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

template <CaseChange kChange>
Result<Value> Change(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("the string method", arguments));
  return ChangeCase(runtime, self.text(), kChange);
}

template <Side kSide>
Result<Value> StripSide(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("strip", {"chars"}, 0, arguments));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  if (bound[0].IsMissing() || bound[0].IsNone()) {
    return Value::String(Strip(self.text(), std::nullopt, kSide));
  }
  FASTKV_ASSIGN_OR_RETURN(const Text characters, AsText(bound[0], "the argument of strip()"));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(uint64_t{characters.size} * self.text().size));
  return Value::String(Strip(self.text(), characters.view(), kSide));
}

Result<Value> ListOf(Runtime& runtime, const std::vector<Text>& parts) {
  FASTKV_RETURN_IF_ERROR(runtime.budget().Heap(parts.size() * sizeof(Text)));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const Text& part : parts) items.push_back(Value::String(part));
  return runtime.heap.NewList(std::move(items));
}

// Cuts at runs of white space, from the left or the right, at most `most` times (< 0: no limit).
std::vector<Text> SplitAtSpace(Text text, int64_t most, bool from_right) {
  std::vector<Text> parts;
  const Side side = from_right ? Side::kRight : Side::kLeft;
  Text rest = Strip(text, std::nullopt, side);
  while (!rest.empty()) {
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
      parts.push_back(Strip(rest, std::nullopt, from_right ? Side::kRight : Side::kLeft));
      break;
    }
    const std::string_view left = rest.view();
    size_t cut = from_right ? left.size() : 0;
    while (from_right ? cut > 0 : cut < left.size()) {
      const DecodedPoint point = from_right ? DecodeUtf8Before(left, cut) : DecodeUtf8(left, cut);
      if (IsSpace(point.value)) break;
      cut = from_right ? cut - point.size : cut + point.size;
    }
    parts.push_back(from_right ? rest.Slice(cut, left.size() - cut) : rest.Slice(0, cut));
    rest = from_right ? rest.Slice(0, cut) : rest.Slice(cut, left.size() - cut);
    rest = Strip(rest, std::nullopt, side);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Text> SplitAt(Text text, std::string_view separator, int64_t most, bool from_right) {
  std::vector<Text> parts;
  const std::string_view view = text.view();
  size_t begin = 0;
  size_t end = view.size();
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t found =
        from_right ? view.substr(0, end).rfind(separator) : view.find(separator, begin);
    if (found == std::string_view::npos) break;
    if (from_right) {
      parts.push_back(text.Slice(found + separator.size(), end - found - separator.size()));
      end = found;
    } else {
      parts.push_back(text.Slice(begin, found - begin));
      begin = found + separator.size();
    }
  }
  parts.push_back(text.Slice(begin, end - begin));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool kFromRight>
Result<Value> Split(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("split", {"sep", "maxsplit"}, 0, arguments));
  int64_t most = -1;
  if (!bound[1].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(most, ToIndex(bound[1], "maxsplit"));
  }
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  if (bound[0].IsMissing() || bound[0].IsNone()) {
    return ListOf(runtime, SplitAtSpace(self.text(), most, kFromRight));
  }
  FASTKV_ASSIGN_OR_RETURN(const Text separator, AsText(bound[0], "the separator of split()"));
  if (separator.empty()) return InvalidArgumentError("split(): empty separator");
  return ListOf(runtime, SplitAt(self.text(), separator.view(), most, kFromRight));
}

Result<Value> Lines(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("splitlines", {"keepends"}, 0, arguments));
  bool keep = false;
  if (!bound[0].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t flag, ToIndex(bound[0], "keepends"));
    keep = flag != 0;
  }
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  return ListOf(runtime, SplitLines(self.text(), keep));
}

template <bool kFromRight>
Result<Value> Partition(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("partition", {"sep"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text separator, AsText(bound[0], "the separator of partition()"));
  if (separator.empty()) return InvalidArgumentError("partition(): empty separator");
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  const Text text = self.text();
  const size_t found =
      kFromRight ? text.view().rfind(separator.view()) : text.view().find(separator.view());
  std::vector<Value> parts(3, Value::String({}));
  if (found == std::string_view::npos) {
    parts[kFromRight ? 2 : 0] = self;
  } else {
    const size_t after = found + separator.size;
    parts[0] = Value::String(text.Slice(0, found));
    parts[1] = Value::String(text.Slice(found, separator.size));
    parts[2] = Value::String(text.Slice(after, text.size - after));
  }
  return runtime.heap.NewList(std::move(parts), Kind::kTuple);
}

Result<Value> ReplaceIn(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  if (!arguments.keywords.empty()) return TypeError("replace() takes no keyword arguments");
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("replace", {"old", "new", "count"}, 2, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text old, AsText(bound[0], "the first argument of replace()"));
  FASTKV_ASSIGN_OR_RETURN(const Text with, AsText(bound[1], "the second argument of replace()"));
  int64_t count = -1;
  if (!bound[2].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(count, ToIndex(bound[2], "the count of replace()"));
  }
  return Replace(runtime, self.text(), old, with, count);
}

Result<Value> JoinWith(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("join", {"iterable"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, bound[0]));
  std::vector<Text> parts;
  for (const Value& item : items) {
    FASTKV_ASSIGN_OR_RETURN(const Text part, AsText(item, "each item for join()"));
    parts.push_back(part);
  }
  return Joined(runtime, parts, self.text());
}

template <bool kPrefix>
Result<Value> Remove(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("removeprefix", {"text"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text part, AsText(bound[0], "the argument of removeprefix()"));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(part.size));
  const Text text = self.text();
  const bool found =
      kPrefix ? text.view().starts_with(part.view()) : text.view().ends_with(part.view());
  if (!found) return self;
  return Value::String(text.Slice(kPrefix ? part.size : 0, text.size - part.size));
}

enum class Align { kCenter, kLeft, kRight };

template <Align kAlign>
Result<Value> Justify(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("center", {"width", "fillchar"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const int64_t width, ToIndex(bound[0], "width"));
  FASTKV_ASSIGN_OR_RETURN(Text fill, Literal(runtime, " "));
  if (!bound[1].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(fill, AsText(bound[1], "fillchar"));
    if (CountCodePoints(fill.view()) != 1) return TypeError("fillchar must be one character");
  }
  FASTKV_ASSIGN_OR_RETURN(const int64_t length, Length(runtime, self));
  if (length >= width) return self;
  const int64_t margin = width - length;
  if (kAlign == Align::kLeft) return Pad(runtime, self.text(), {0, margin}, fill);
  if (kAlign == Align::kRight) return Pad(runtime, self.text(), {margin, 0}, fill);
  // Python puts the odd one to the left when the width is odd too.
  const int64_t left = margin / 2 + (margin & width & 1);
  return Pad(runtime, self.text(), {left, margin - left}, fill);
}

Result<Value> ZeroFill(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("zfill", {"width"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const int64_t width, ToIndex(bound[0], "width"));
  FASTKV_ASSIGN_OR_RETURN(const int64_t length, Length(runtime, self));
  if (length >= width) return self;
  FASTKV_ASSIGN_OR_RETURN(const Text zero, Literal(runtime, "0"));
  const Text text = self.text();
  const bool has_sign = text.view().starts_with('+') || text.view().starts_with('-');
  const Text digits = text.Slice(has_sign ? 1 : 0, text.size - (has_sign ? 1 : 0));
  FASTKV_ASSIGN_OR_RETURN(const Value padded, Pad(runtime, digits, {width - length, 0}, zero));
  return has_sign ? Joined(runtime, {text.Slice(0, 1), padded.text()}, {}) : padded;
}

Result<Value> Format(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  return FormatBraces(runtime, self.text(), arguments);
}

constexpr Method kMethods[] = {
    {"capitalize", Change<CaseChange::kCapitalize>},
    {"casefold", Change<CaseChange::kFold>},
    {"center", Justify<Align::kCenter>},
    {"format", Format},
    {"join", JoinWith},
    {"ljust", Justify<Align::kLeft>},
    {"lower", Change<CaseChange::kLower>},
    {"lstrip", StripSide<Side::kLeft>},
    {"partition", Partition<false>},
    {"removeprefix", Remove<true>},
    {"removesuffix", Remove<false>},
    {"replace", ReplaceIn},
    {"rjust", Justify<Align::kRight>},
    {"rpartition", Partition<true>},
    {"rsplit", Split<true>},
    {"rstrip", StripSide<Side::kRight>},
    {"split", Split<false>},
    {"splitlines", Lines},
    {"strip", StripSide<Side::kBoth>},
    {"swapcase", Change<CaseChange::kSwap>},
    {"title", Change<CaseChange::kTitle>},
    {"upper", Change<CaseChange::kUpper>},
    {"zfill", ZeroFill},
};

}  // namespace

std::span<const Method> TextMethods() { return kMethods; }

}  // namespace fastkv::jinja
