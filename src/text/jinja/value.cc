#include "text/jinja/value.h"

#include <algorithm>
#include <memory>

#include "text/jinja/iterator.h"
#include "text/jinja/runtime_objects.h"

namespace fastkv::jinja {

Value Value::Bool(bool value) {
  Value result(Kind::kBool);
  result.bool_ = value;
  return result;
}

Value Value::Int(Int128 value) {
  Value result(Kind::kInt);
  result.int_ = value;
  return result;
}

Value Value::Float(double value) {
  Value result(Kind::kFloat);
  result.float_ = value;
  return result;
}

Value Value::String(Text text) {
  Value result(Kind::kString);
  std::construct_at(&result.text_, text);
  return result;
}

Value Value::Undefined(UndefinedReason reason, std::string_view name, Kind owner) {
  Value result(Kind::kUndefined);
  result.undefined_ = {name.data(), static_cast<uint32_t>(name.size()), reason, owner};
  return result;
}

Value Value::Of(Kind kind, Object* object) {
  Value result(kind);
  result.object_ = object;
  return result;
}

Value Value::Function(const GlobalFunction* function) {
  Value result(Kind::kFunction);
  result.function_ = function;
  return result;
}

ListObject& Value::list() const { return *static_cast<ListObject*>(object_); }
DictObject& Value::dict() const { return *static_cast<DictObject*>(object_); }
DictViewObject& Value::dict_view() const { return *static_cast<DictViewObject*>(object_); }
RangeObject& Value::range() const { return *static_cast<RangeObject*>(object_); }
IteratorObject& Value::iterator() const { return *static_cast<IteratorObject*>(object_); }
NamespaceObject& Value::name_space() const { return *static_cast<NamespaceObject*>(object_); }
MacroObject& Value::macro() const { return *static_cast<MacroObject*>(object_); }
MethodObject& Value::method() const { return *static_cast<MethodObject*>(object_); }
LoopObject& Value::loop() const { return *static_cast<LoopObject*>(object_); }
CyclerObject& Value::cycler() const { return *static_cast<CyclerObject*>(object_); }
JoinerObject& Value::joiner() const { return *static_cast<JoinerObject*>(object_); }

const Value* DictObject::Find(std::string_view key) const {
  constexpr size_t kSmall = 16;
  if (entries.size() <= kSmall) {
    for (const auto& [candidate, value] : entries) {
      if (candidate.IsString() && candidate.view() == key) return &value;
    }
    return nullptr;
  }
  if (sorted_entries_ != entries.size()) {
    sorted_.clear();
    for (uint32_t i = 0; i < entries.size(); ++i) {
      if (entries[i].first.IsString()) sorted_.push_back(i);
    }
    std::sort(sorted_.begin(), sorted_.end(), [this](uint32_t a, uint32_t b) {
      return entries[a].first.view() < entries[b].first.view();
    });
    sorted_entries_ = entries.size();
  }
  const auto found = std::lower_bound(
      sorted_.begin(), sorted_.end(), key,
      [this](uint32_t i, std::string_view k) { return entries[i].first.view() < k; });
  if (found == sorted_.end() || entries[*found].first.view() != key) return nullptr;
  return &entries[*found].second;
}

Result<TextBuffer*> Heap::NewBuffer() {
  FASTKV_RETURN_IF_ERROR(budget_->Heap(sizeof(TextBuffer) + kObjectOverheadBytes));
  buffers_.push_back(std::make_unique<TextBuffer>());
  buffers_.back()->growable = true;
  return buffers_.back().get();
}

Result<Value> Heap::NewString(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return Value::String({});
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, NewBuffer());
  TextBuilder builder(buffer, budget_);
  builder.Append(bytes, trusted);
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

Result<Value> Heap::NewList(std::vector<Value> items, Kind kind) {
  FASTKV_RETURN_IF_ERROR(ChargeItems(items.size()));
  FASTKV_ASSIGN_OR_RETURN(ListObject * list, New<ListObject>());
  list->items = std::move(items);
  return Value::Of(kind, list);
}

Result<Value> Heap::Concatenate(const Text& left, const Text& right) {
  if (left.empty()) return Value::String(right);
  if (right.empty()) return Value::String(left);
  if (left.buffer->growable && left.begin + left.size == left.buffer->bytes.size()) {
    TextBuilder builder(left.buffer, budget_);
    builder.Append(right);
    FASTKV_RETURN_IF_ERROR(builder.status());
    return Value::String({left.buffer, left.begin, left.size + right.size});
  }
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, NewBuffer());
  TextBuilder builder(buffer, budget_);
  builder.Append(left);
  builder.Append(right);
  FASTKV_RETURN_IF_ERROR(builder.status());
  return Value::String(builder.text());
}

std::string_view TypeName(Kind kind) {
  switch (kind) {
    case Kind::kMissing:
      return "missing";
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kDictView:
      return "dict view";
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kMacro:
      return "Macro";
    case Kind::kMethod:
      return "method";
    case Kind::kFunction:
      return "function";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

Status UndefinedError(const Value& value) {
  const UndefinedInfo& info = value.undefined();
  const std::string name(info.name, info.name_size);
  switch (info.reason) {
    case UndefinedReason::kVariable:
      return InvalidArgumentError("'" + name + "' is undefined");
    case UndefinedReason::kAttribute:
      return InvalidArgumentError("'" + std::string(TypeName(info.owner)) +
                                  " object' has no attribute '" + name + "'");
    case UndefinedReason::kElement:
      return InvalidArgumentError("'" + std::string(TypeName(info.owner)) +
                                  " object' has no such element");
    case UndefinedReason::kParameter:
      return InvalidArgumentError("parameter '" + name + "' was not provided");
    case UndefinedReason::kUnsafe:
      return InvalidArgumentError("access to attribute '" + name + "' of '" +
                                  std::string(TypeName(info.owner)) + "' object is unsafe");
    case UndefinedReason::kMessage:
      return InvalidArgumentError(name);
  }
  return InvalidArgumentError("undefined value");
}

}  // namespace fastkv::jinja
