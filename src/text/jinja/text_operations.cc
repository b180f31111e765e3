#include "text/jinja/text_operations.h"

#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

bool IsStripped(std::string_view text, size_t offset, size_t size,
                std::optional<std::string_view> characters) {
  if (!characters) return IsSpace(DecodeUtf8(text, offset).value);
  // A whole code point in valid UTF-8 is found only where that code point stands.
  return characters->find(text.substr(offset, size)) != std::string_view::npos;
}

void AppendChanged(std::string_view view, size_t offset, CaseChange change, std::string* out) {
  const char32_t c = DecodeUtf8(view, offset).value;
  switch (change) {
    case CaseChange::kUpper:
      return AppendUpper(c, out);
    case CaseChange::kTitle:
      return AppendTitle(c, out);
    case CaseChange::kFold:
      return AppendFolded(c, out);
    default:
      break;
  }
  if (c == 0x3A3) {
    char bytes[4];
    out->append(bytes, EncodeUtf8(LowerSigma(view, offset), bytes));
  } else {
    AppendLower(c, out);
  }
}

}  // namespace

Text Strip(Text text, std::optional<std::string_view> characters, Side side) {
  const std::string_view view = text.view();
  size_t begin = 0;
  size_t end = view.size();
  while (side != Side::kRight && begin < end) {
    const size_t size = DecodeUtf8(view, begin).size;
    if (!IsStripped(view, begin, size, characters)) break;
    begin += size;
  }
  while (side != Side::kLeft && begin < end) {
    const size_t size = DecodeUtf8Before(view, end).size;
    if (!IsStripped(view, end - size, size, characters)) break;
    end -= size;
  }
  return text.Slice(begin, end - begin);
}

Result<Value> ChangeCase(Runtime& runtime, Text text, CaseChange change) {
  if (text.empty()) return Value::String(text);
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  TrustCursor cursor(text);
  const std::string_view view = text.view();
  bool after_cased = false;
  std::string changed;
  for (size_t offset = 0; offset < view.size();) {
    const DecodedPoint point = DecodeUtf8(view, offset);
    CaseChange here = change;
    if (change == CaseChange::kTitle && after_cased) here = CaseChange::kLower;
    if (change == CaseChange::kCapitalize) {
      here = offset == 0 ? CaseChange::kTitle : CaseChange::kLower;
    }
    if (change == CaseChange::kSwap) {
      here = IsUpper(point.value)   ? CaseChange::kLower
             : IsLower(point.value) ? CaseChange::kUpper
                                    : CaseChange::kSwap;
    }
    changed.clear();
    if (here == CaseChange::kSwap) {
      changed = view.substr(offset, point.size);
    } else {
      AppendChanged(view, offset, here, &changed);
    }
    builder.Append(changed, cursor.TrustedAt(offset));
    after_cased = IsCased(point.value);
    offset += point.size;
  }
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

Result<Value> Replace(Runtime& runtime, Text text, Text old, Text with, int64_t count) {
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(text.size));
  const std::string_view view = text.view();
  const std::string_view wanted = old.view();
  if (count == 0 || (!wanted.empty() && view.find(wanted) == std::string_view::npos)) {
    return Value::String(text);
  }
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  size_t begin = 0;
  for (int64_t done = 0; count < 0 || done < count; ++done) {
    if (wanted.empty()) {
      // Nothing is found before every code point and at the end.
      builder.Append(with);
      if (begin >= view.size()) break;
      const size_t size = DecodeUtf8(view, begin).size;
      builder.Append(text.Slice(begin, size));
      begin += size;
    } else {
      const size_t found = view.find(wanted, begin);
      if (found == std::string_view::npos) break;
      builder.Append(text.Slice(begin, found - begin));
      builder.Append(with);
      begin = found + wanted.size();
    }
    FASTKV_RETURN_IF_ERROR(builder.status());
  }
  builder.Append(text.Slice(begin, view.size() - begin));
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

std::vector<Text> SplitLines(Text text, bool keep_ends) {
  std::vector<Text> lines;
  const std::string_view view = text.view();
  size_t begin = 0;
  for (size_t offset = 0; offset < view.size();) {
    const DecodedPoint point = DecodeUtf8(view, offset);
    const size_t line_end = offset;
    offset += point.size;
    if (!IsLineBreak(point.value)) continue;
    if (point.value == '\r' && offset < view.size() && view[offset] == '\n') ++offset;
    lines.push_back(text.Slice(begin, (keep_ends ? offset : line_end) - begin));
    begin = offset;
  }
  if (begin < view.size()) lines.push_back(text.Slice(begin, view.size() - begin));
  return lines;
}

Result<Value> Pad(Runtime& runtime, Text text, Padding padding, Text fill) {
  for (const int64_t count : {padding.left, padding.right}) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().CheckHeap(static_cast<uint64_t>(count)));
  }
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  for (int64_t i = 0; i < padding.left && builder.status().ok(); ++i) builder.Append(fill);
  builder.Append(text);
  for (int64_t i = 0; i < padding.right && builder.status().ok(); ++i) builder.Append(fill);
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

Result<Value> Joined(Runtime& runtime, const std::vector<Text>& parts, Text separator) {
  if (parts.empty()) return Value::String({});
  if (parts.size() == 1) return Value::String(parts[0]);
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  for (size_t i = 0; i < parts.size() && builder.status().ok(); ++i) {
    if (i > 0) builder.Append(separator);
    builder.Append(parts[i]);
  }
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

Result<Text> Literal(Runtime& runtime, std::string_view text) {
  FASTKV_ASSIGN_OR_RETURN(const Value value, runtime.heap.NewString(text, true));
  return value.text();
}

Result<Text> AsText(const Value& value, std::string_view what) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (!value.IsString()) {
    return TypeError(std::string(what) + " must be a string, not " + std::string(TypeName(value)));
  }
  return value.text();
}

}  // namespace fastkv::jinja
