#include "text/jinja/access.h"

#include <algorithm>
#include <charconv>

#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/runtime_objects.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

Value NoAttribute(const Value& object, AttributeName name,
                  UndefinedReason reason = UndefinedReason::kAttribute) {
  if (!name.stable) return Value::Undefined(UndefinedReason::kElement, {}, object.kind());
  return Value::Undefined(reason, name.name, object.kind());
}

// Attributes of the loop variable; missing where there is none of that name.
Result<Value> LoopAttribute(Runtime& runtime, LoopObject& loop, std::string_view name) {
  const auto number = [](int64_t value) { return Value::Int(value); };
  if (name == "index") return number(loop.index0 + 1);
  if (name == "index0") return number(loop.index0);
  if (name == "first") return Value::Bool(loop.index0 == 0);
  if (name == "depth") return number(loop.depth0 + 1);
  if (name == "depth0") return number(loop.depth0);
  if (name == "last") {
    FASTKV_ASSIGN_OR_RETURN(const bool more, loop.Peek(runtime));
    return Value::Bool(!more);
  }
  if (name == "previtem") {
    if (loop.index0 > 0) return loop.previous;
    return Value::Undefined(UndefinedReason::kMessage, "there is no previous item");
  }
  if (name == "nextitem") {
    FASTKV_ASSIGN_OR_RETURN(const bool more, loop.Peek(runtime));
    if (more) return loop.next;
    return Value::Undefined(UndefinedReason::kMessage, "there is no next item");
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    FASTKV_ASSIGN_OR_RETURN(const int64_t length, loop.LengthOf(runtime));
    if (name == "length") return number(length);
    return number(name == "revindex" ? length - loop.index0 : length - loop.index0 - 1);
  }
  return Value();
}

// What Python's getattr gives, apart from methods; missing where there is nothing.
Result<Value> PlainAttribute(Runtime& runtime, const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kNamespace: {
      const Value* found = object.name_space().attributes.Find(name);
      return found != nullptr ? *found : Value();
    }
    case Kind::kLoop:
      return LoopAttribute(runtime, object.loop(), name);
    case Kind::kTuple:
      if (!object.list().is_group) return Value();
      if (name == "grouper") return object.list().items[0];
      if (name == "list") return object.list().items[1];
      return Value();
    case Kind::kCycler:
      if (name == "current") return object.cycler().items[object.cycler().position];
      return Value();
    case Kind::kMacro: {
      const MacroDefinition& macro = *object.macro().definition->macro;
      if (name == "name") return runtime.heap.NewString(macro.name, true);
      if (name == "caller") return Value::Bool(macro.caller_slot != UINT32_MAX);
      if (name == "catch_kwargs") return Value::Bool(macro.kwargs_slot != UINT32_MAX);
      if (name == "catch_varargs") return Value::Bool(macro.varargs_slot != UINT32_MAX);
      if (name != "arguments") return Value();
      std::vector<Value> names;
      for (const Parameter& parameter : macro.parameters) {
        FASTKV_ASSIGN_OR_RETURN(const Value text, runtime.heap.NewString(parameter.name, true));
        names.push_back(text);
      }
      return runtime.heap.NewList(std::move(names));
    }
    default:
      return Value();
  }
}

// The position of an index in a sequence of `length`, or -1 when it is out of range.
int64_t Position(Int128 index, int64_t length) {
  if (index < 0) index += length;
  return index < 0 || index >= length ? -1 : static_cast<int64_t>(index);
}

Result<Value> TextItem(Runtime& runtime, const Text& text, Int128 index) {
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(text.size));
  const std::string_view view = text.view();
  const int64_t position = Position(index, static_cast<int64_t>(CountCodePoints(view)));
  if (position < 0) return Value();
  const size_t offset = OffsetOfCodePoint(view, static_cast<size_t>(position));
  return Value::String(text.Slice(offset, DecodeUtf8(view, offset).size));
}

// object[key] alone; missing where Python raises TypeError or LookupError.
Result<Value> PlainItem(Runtime& runtime, const Value& object, const Value& key) {
  switch (object.kind()) {
    case Kind::kDict: {
      if (!CheckHashable(runtime, key).ok()) return Value();
      FASTKV_ASSIGN_OR_RETURN(const Value* found, Lookup(runtime, object.dict(), key));
      return found != nullptr ? *found : Value();
    }
    case Kind::kList:
    case Kind::kTuple: {
      if (!key.IsIntegral()) return Value();
      const std::vector<Value>& items = object.list().items;
      const int64_t position = Position(key.integer(), static_cast<int64_t>(items.size()));
      return position < 0 ? Value() : items[static_cast<size_t>(position)];
    }
    case Kind::kString:
      return key.IsIntegral() ? TextItem(runtime, object.text(), key.integer()) : Value();
    case Kind::kRange: {
      if (!key.IsIntegral()) return Value();
      const RangeObject& range = object.range();
      const int64_t position = Position(key.integer(), range.length);
      if (position < 0) return Value();
      return Value::Int(Int128{range.start} + Int128{range.step} * position);
    }
    default:
      return Value();
  }
}

}  // namespace

AttributeName NameOf(const Text& text) {
  return {text.view(), text.buffer != nullptr && !text.buffer->growable};
}

Result<Value> GetAttributeOnly(Runtime& runtime, const Value& object, AttributeName name) {
  if (object.IsUndefined()) return UndefinedError(object);
  if (name.name.starts_with('_')) {
    return NoAttribute(object, name, UndefinedReason::kUnsafe);
  }
  FASTKV_ASSIGN_OR_RETURN(const Value plain, PlainAttribute(runtime, object, name.name));
  if (!plain.IsMissing()) return plain;
  if (IsHidden(object.kind(), name.name)) {
    return NoAttribute(object, name, UndefinedReason::kUnsafe);
  }
  const Method* method = FindMethod(object.kind(), name.name);
  if (method == nullptr) return NoAttribute(object, name);
  FASTKV_ASSIGN_OR_RETURN(MethodObject * bound, runtime.heap.New<MethodObject>());
  bound->self = object;
  bound->method = method;
  return Value::Of(Kind::kMethod, bound);
}

Result<Value> GetAttribute(Runtime& runtime, const Value& object, AttributeName name) {
  FASTKV_ASSIGN_OR_RETURN(const Value attribute, GetAttributeOnly(runtime, object, name));
  if (!attribute.IsUndefined() || !object.Is(Kind::kDict)) return attribute;
  // A hidden method hides the key of that name too, as it does in jinja2.
  if (IsHidden(object.kind(), name.name)) return attribute;
  const Value* found = object.dict().Find(name.name);
  return found != nullptr ? *found : attribute;
}

Result<Value> GetItem(Runtime& runtime, const Value& object, const Value& key) {
  if (object.IsUndefined()) return UndefinedError(object);
  FASTKV_ASSIGN_OR_RETURN(const Value item, PlainItem(runtime, object, key));
  if (!item.IsMissing()) return item;
  if (!key.IsString()) return NoAttribute(object, {});
  return GetAttributeOnly(runtime, object, NameOf(key.text()));
}

Result<Value> Slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop,
                    const Value& step) {
  if (object.IsUndefined()) return UndefinedError(object);
  const bool is_text = object.IsString();
  if (!is_text && !object.IsSequence() && !object.Is(Kind::kRange)) {
    return TypeError("'" + std::string(TypeName(object)) + "' object cannot be sliced");
  }
  const auto given = [](const Value& value) { return !value.IsMissing() && !value.IsNone(); };
  for (const Value* end : {&start, &stop, &step}) {
    if (!given(*end) || end->IsIntegral()) continue;
    if (end->IsUndefined()) return UndefinedError(*end);
    return TypeError("slice indices must be integers, not " + std::string(TypeName(*end)));
  }
  const Int128 stride = given(step) ? step.integer() : Int128{1};
  if (stride == 0) return InvalidArgumentError("slice step cannot be zero");
  FASTKV_ASSIGN_OR_RETURN(const int64_t length, Length(runtime, object));
  const Int128 lowest = stride < 0 ? -1 : 0;
  const Int128 highest = stride < 0 ? length - 1 : length;
  const auto clip = [&](const Value& end, Int128 otherwise) {
    if (!given(end)) return otherwise;
    Int128 position = end.integer();
    if (position < 0) position = position < -Int128{length} ? lowest : position + length;
    return std::clamp(position, lowest, std::max(lowest, highest));
  };
  const Int128 first = clip(start, stride < 0 ? highest : lowest);
  const Int128 last = clip(stop, stride < 0 ? lowest : highest);
  int64_t count = 0;
  if (stride > 0 ? first < last : first > last) {
    const Int128 span = stride > 0 ? last - first - 1 : first - last - 1;
    const Int128 distance = stride > 0 ? stride : -(stride + 1) + Int128{1};
    count = static_cast<int64_t>(span / distance) + 1;
  }
  const auto at = [&](int64_t i) { return static_cast<size_t>(first + stride * i); };
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(static_cast<uint64_t>(count) * 4));
  if (object.Is(Kind::kRange)) {
    const RangeObject& range = object.range();
    FASTKV_ASSIGN_OR_RETURN(RangeObject * part, runtime.heap.New<RangeObject>());
    const Int128 part_step = count > 1 ? Int128{range.step} * stride : Int128{1};
    part->start = count == 0 ? 0 : range.start + range.step * static_cast<int64_t>(first);
    part->step = static_cast<int64_t>(part_step);
    part->length = count;
    return Value::Of(Kind::kRange, part);
  }
  if (!is_text) {
    FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(static_cast<size_t>(count)));
    std::vector<Value> items;
    items.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) items.push_back(object.list().items[at(i)]);
    FASTKV_ASSIGN_OR_RETURN(ListObject * part, runtime.heap.New<ListObject>());
    part->items = std::move(items);
    return Value::Of(object.kind(), part);
  }
  const Text& text = object.text();
  const std::string_view view = text.view();
  if (count == 0) return Value::String({});
  if (stride == 1) {
    const size_t begin = OffsetOfCodePoint(view, at(0));
    const size_t size = OffsetOfCodePoint(view.substr(begin), static_cast<size_t>(count));
    return Value::String(text.Slice(begin, size));
  }
  FASTKV_RETURN_IF_ERROR(runtime.budget().Heap(static_cast<uint64_t>(length) * sizeof(uint32_t)));
  std::vector<uint32_t> offsets;
  for (size_t offset = 0; offset < view.size(); offset += DecodeUtf8(view, offset).size) {
    offsets.push_back(static_cast<uint32_t>(offset));
  }
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime.budget());
  for (int64_t i = 0; i < count; ++i) {
    const size_t offset = offsets[at(i)];
    builder.Append(text.Slice(offset, DecodeUtf8(view, offset).size));
  }
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

Result<Value> GetPath(Runtime& runtime, const Value& object, const Value& attribute,
                      const Value& otherwise) {
  if (attribute.IsMissing() || attribute.IsNone()) return object;
  const auto next = [&](const Value& from, const Value& key) -> Result<Value> {
    FASTKV_ASSIGN_OR_RETURN(Value item, GetItem(runtime, from, key));
    return item.IsUndefined() && !otherwise.IsMissing() && !otherwise.IsNone() ? otherwise : item;
  };
  if (!attribute.IsString()) return next(object, attribute);
  Value current = object;
  const Text& path = attribute.text();
  size_t begin = 0;
  while (true) {
    const std::string_view view = path.view();
    const size_t end = std::min(view.find('.', begin), view.size());
    const std::string_view part = view.substr(begin, end - begin);
    Value key = Value::String(path.Slice(begin, part.size()));
    int64_t number = 0;
    const bool digits = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    if (digits &&
        std::from_chars(part.data(), part.data() + part.size(), number).ec == std::errc()) {
      key = Value::Int(number);
    }
    FASTKV_ASSIGN_OR_RETURN(current, next(current, key));
    if (end == view.size()) return current;
    begin = end + 1;
  }
}

}  // namespace fastkv::jinja
