#include "text/jinja/iterator.h"

#include "text/jinja/runtime_objects.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

struct ListIterator : IteratorObject {
  explicit ListIterator(const std::vector<Value>* list) : items(list) {}
  Result<bool> Produce(Runtime&, Value* item) override {
    if (position >= items->size()) return false;
    *item = (*items)[position++];
    return true;
  }
  const std::vector<Value>* items;
  size_t position = 0;
};

struct OwnedIterator : IteratorObject {
  explicit OwnedIterator(std::vector<Value> list) : items(std::move(list)) {}
  Result<bool> Produce(Runtime&, Value* item) override {
    if (position >= items.size()) return false;
    *item = items[position++];
    return true;
  }
  std::vector<Value> items;
  size_t position = 0;
};

struct TextIterator : IteratorObject {
  explicit TextIterator(Text whole) : text(whole) {}
  Result<bool> Produce(Runtime&, Value* item) override {
    if (position >= text.size) return false;
    const size_t size = DecodeUtf8(text.view(), position).size;
    *item = Value::String(text.Slice(position, size));
    position += size;
    return true;
  }
  Text text;
  size_t position = 0;
};

struct RangeIterator : IteratorObject {
  explicit RangeIterator(const RangeObject& source) : range(source) {}
  Result<bool> Produce(Runtime&, Value* item) override {
    if (position >= range.length) return false;
    *item = Value::Int(Int128{range.start} + Int128{range.step} * position++);
    return true;
  }
  RangeObject range;
  int64_t position = 0;
};

struct DictIterator : IteratorObject {
  DictIterator(const DictObject* source, DictViewObject::What part) : dict(source), what(part) {}
  Result<bool> Produce(Runtime& runtime, Value* item) override {
    if (position >= dict->entries.size()) return false;
    const auto& [key, value] = dict->entries[position++];
    switch (what) {
      case DictViewObject::What::kKeys:
        *item = key;
        return true;
      case DictViewObject::What::kValues:
        *item = value;
        return true;
      case DictViewObject::What::kItems: {
        FASTKV_ASSIGN_OR_RETURN(*item, runtime.heap.NewList({key, value}, Kind::kTuple));
        return true;
      }
    }
    return false;
  }
  const DictObject* dict;
  DictViewObject::What what;
  size_t position = 0;
};

// Iterating over the loop variable goes on with the loop itself, giving (item, loop) pairs; nobody
// means that.
bool CannotIterate(Kind kind) {
  switch (kind) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kDictView:
    case Kind::kRange:
    case Kind::kIterator:
      return false;
    default:
      return true;
  }
}

}  // namespace

Result<bool> IteratorObject::Next(Runtime& runtime, Value* item) {
  if (runtime.iterator_depth >= kMaxIteratorDepth) {
    return LimitError("lazy filters are chained more than " + std::to_string(kMaxIteratorDepth) +
                      " deep");
  }
  ++runtime.iterator_depth;
  Result<bool> more = Produce(runtime, item);
  --runtime.iterator_depth;
  return more;
}

bool IsIterable(const Value& value) { return !CannotIterate(value.kind()); }

Result<IteratorObject*> Iterate(Runtime& runtime, const Value& value) {
  const auto as_base = [](auto made) -> Result<IteratorObject*> {
    if (!made.ok()) return made.status();
    return static_cast<IteratorObject*>(*made);
  };
  switch (value.kind()) {
    case Kind::kUndefined:
      return as_base(runtime.heap.New<OwnedIterator>(std::vector<Value>()));
    case Kind::kString:
      return as_base(runtime.heap.New<TextIterator>(value.text()));
    case Kind::kList:
    case Kind::kTuple:
      return as_base(runtime.heap.New<ListIterator>(&value.list().items));
    case Kind::kDict:
      return as_base(runtime.heap.New<DictIterator>(&value.dict(), DictViewObject::What::kKeys));
    case Kind::kDictView:
      return as_base(
          runtime.heap.New<DictIterator>(value.dict_view().dict, value.dict_view().what));
    case Kind::kRange:
      return as_base(runtime.heap.New<RangeIterator>(value.range()));
    case Kind::kIterator:
      return &value.iterator();
    default:
      return TypeError("'" + std::string(TypeName(value)) + "' object is not iterable");
  }
}

Result<std::vector<Value>> Collect(Runtime& runtime, const Value& value) {
  FASTKV_ASSIGN_OR_RETURN(IteratorObject * iterator, Iterate(runtime, value));
  std::vector<Value> items;
  while (true) {
    Value item;
    FASTKV_ASSIGN_OR_RETURN(const bool more, iterator->Next(runtime, &item));
    if (!more) return items;
    FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
    FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(1));
    items.push_back(item);
  }
}

bool HasLength(const Value& value) { return IsIterable(value) && !value.Is(Kind::kIterator); }

Result<int64_t> Length(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(value.text().size));
      return static_cast<int64_t>(CountCodePoints(value.view()));
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.list().items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries.size());
    case Kind::kDictView:
      return static_cast<int64_t>(value.dict_view().dict->entries.size());
    case Kind::kRange:
      return value.range().length;
    case Kind::kLoop:
      return value.loop().LengthOf(runtime);
    default:
      return TypeError("object of type '" + std::string(TypeName(value)) + "' has no len()");
  }
}

Result<Value> NewItemIterator(Runtime& runtime, std::vector<Value> items) {
  FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(items.size()));
  FASTKV_ASSIGN_OR_RETURN(OwnedIterator * iterator,
                          runtime.heap.New<OwnedIterator>(std::move(items)));
  return Value::Of(Kind::kIterator, iterator);
}

Result<bool> LoopObject::Peek(Runtime& runtime) {
  if (has_next) return true;
  FASTKV_ASSIGN_OR_RETURN(has_next, items->Next(runtime, &next));
  return has_next;
}

Result<bool> LoopObject::Advance(Runtime& runtime, Value* item) {
  FASTKV_ASSIGN_OR_RETURN(const bool more, Peek(runtime));
  if (!more) return false;
  has_next = false;
  ++index0;
  previous = current;
  current = next;
  *item = current;
  return true;
}

Result<int64_t> LoopObject::LengthOf(Runtime& runtime) {
  if (length >= 0) return length;
  if (!filtered && HasLength(iterable)) {
    FASTKV_ASSIGN_OR_RETURN(length, Length(runtime, iterable));
    return length;
  }
  FASTKV_ASSIGN_OR_RETURN(std::vector<Value> rest,
                          Collect(runtime, Value::Of(Kind::kIterator, items)));
  length = static_cast<int64_t>(rest.size()) + index0 + 1 + (has_next ? 1 : 0);
  FASTKV_ASSIGN_OR_RETURN(const Value left, NewItemIterator(runtime, std::move(rest)));
  items = &left.iterator();
  return length;
}

}  // namespace fastkv::jinja
