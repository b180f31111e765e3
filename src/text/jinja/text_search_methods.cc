// Methods of strings that look for something or tell what the string is.
#include <algorithm>

#include "text/jinja/iterator.h"
#include "text/jinja/methods.h"
#include "text/jinja/text_operations.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

// The bytes of self between two indices in code points, given as Python's slices are.
struct Window {
  size_t begin = 0;
  size_t end = 0;
  int64_t first = 0;      // the code point at `begin`
  bool reversed = false;  // the start lies behind the end: nothing matches, not even ""
};

Result<Window> WindowOf(Runtime& runtime, const Value& self, const Value& start,
                        const Value& stop) {
  Window window{0, self.text().size, 0, false};
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  const auto given = [](const Value& value) { return !value.IsMissing() && !value.IsNone(); };
  if (!given(start) && !given(stop)) return window;
  FASTKV_ASSIGN_OR_RETURN(const int64_t length, Length(runtime, self));
  int64_t ends[2] = {0, length};
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const Value& value = i == 0 ? start : stop;
    if (!given(value)) continue;
    FASTKV_ASSIGN_OR_RETURN(int64_t end, ToIndex(value, "the start or end"));
    if (end < 0) end = end < -length ? 0 : end + length;
    ends[i] = i == 0 ? end : std::min(end, length);
  }
  window.reversed = ends[0] > ends[1];
  if (window.reversed) return window;
  window.first = ends[0];
  window.begin = OffsetOfCodePoint(self.view(), static_cast<size_t>(ends[0]));
  window.end = OffsetOfCodePoint(self.view(), static_cast<size_t>(ends[1]));
  return window;
}

template <bool kStart>
Result<Value> StartsOrEnds(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("startswith", {"prefix", "start", "end"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Window window, WindowOf(runtime, self, bound[1], bound[2]));
  const std::string_view view = self.view().substr(window.begin, window.end - window.begin);
  std::vector<Value> candidates = {bound[0]};
  if (bound[0].Is(Kind::kTuple)) candidates = bound[0].list().items;
  bool found = false;
  for (const Value& candidate : candidates) {
    FASTKV_ASSIGN_OR_RETURN(const Text text, AsText(candidate, "the argument of startswith()"));
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(text.size));
    found = found || (!window.reversed &&
                      (kStart ? view.starts_with(text.view()) : view.ends_with(text.view())));
  }
  return Value::Bool(found);
}

template <bool kFromRight, bool kMustBeThere>
Result<Value> Find(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("find", {"sub", "start", "end"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text wanted, AsText(bound[0], "the argument of find()"));
  FASTKV_ASSIGN_OR_RETURN(const Window window, WindowOf(runtime, self, bound[1], bound[2]));
  const std::string_view view = self.view().substr(window.begin, window.end - window.begin);
  const size_t found = window.reversed ? std::string_view::npos
                       : kFromRight    ? view.rfind(wanted.view())
                                       : view.find(wanted.view());
  if (found != std::string_view::npos) {
    return Value::Int(window.first + static_cast<int64_t>(CountCodePoints(view.substr(0, found))));
  }
  if (kMustBeThere) return InvalidArgumentError("index(): the substring is not found");
  return Value::Int(-1);
}

Result<Value> CountIn(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("count", {"sub", "start", "end"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text wanted, AsText(bound[0], "the argument of count()"));
  FASTKV_ASSIGN_OR_RETURN(const Window window, WindowOf(runtime, self, bound[1], bound[2]));
  if (window.reversed) return Value::Int(0);
  const std::string_view view = self.view().substr(window.begin, window.end - window.begin);
  if (wanted.empty()) return Value::Int(static_cast<int64_t>(CountCodePoints(view)) + 1);
  int64_t count = 0;
  for (size_t found = view.find(wanted.view()); found != std::string_view::npos;
       found = view.find(wanted.view(), found + wanted.size)) {
    ++count;
  }
  return Value::Int(count);
}

// Whether all code points pass and there is at least one.
template <bool (*kPasses)(char32_t)>
Result<Value> All(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("the string method", arguments));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  const std::string_view view = self.view();
  for (size_t offset = 0; offset < view.size();) {
    const DecodedPoint point = DecodeUtf8(view, offset);
    if (!kPasses(point.value)) return Value::Bool(false);
    offset += point.size;
  }
  return Value::Bool(!view.empty());
}

Result<Value> IsAscii(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("isascii", arguments));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  const std::string_view view = self.view();
  return Value::Bool(std::all_of(view.begin(), view.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
}

Result<Value> IsPrintableText(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  if (self.text().empty()) return Value::Bool(true);
  return All<IsPrintable>(runtime, self, arguments);
}

Result<Value> IsTitleText(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("istitle", arguments));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  const std::string_view view = self.view();
  bool any = false;
  bool after_cased = false;
  for (size_t offset = 0; offset < view.size();) {
    const DecodedPoint point = DecodeUtf8(view, offset);
    const bool capital = IsUpper(point.value) || IsTitle(point.value);
    const bool small = !capital && IsLower(point.value);
    if ((capital && after_cased) || (small && !after_cased)) return Value::Bool(false);
    any = any || capital || small;
    after_cased = capital || small;
    offset += point.size;
  }
  return Value::Bool(any);
}

template <bool kLower>
Result<Value> IsCase(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("the string method", arguments));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(self.text().size));
  return Value::Bool(HasOneCase(self.view(), kLower));
}

bool IsAlphanumeric(char32_t c) { return c != '_' && IsWordCharacter(c); }

constexpr Method kMethods[] = {
    {"count", CountIn},           {"endswith", StartsOrEnds<false>},  {"find", Find<false, false>},
    {"index", Find<false, true>}, {"isalnum", All<IsAlphanumeric>},   {"isalpha", All<IsAlpha>},
    {"isascii", IsAscii},         {"isdecimal", All<IsDecimalDigit>}, {"isdigit", All<IsDigit>},
    {"islower", IsCase<true>},    {"isprintable", IsPrintableText},   {"isspace", All<IsSpace>},
    {"istitle", IsTitleText},     {"isupper", IsCase<false>},         {"rfind", Find<true, false>},
    {"rindex", Find<true, true>}, {"startswith", StartsOrEnds<true>},
};

}  // namespace

std::span<const Method> TextSearchMethods() { return kMethods; }

}  // namespace fastkv::jinja
