// Equality, order and membership.
#include <algorithm>
#include <cmath>

#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/runtime_objects.h"

namespace fastkv::jinja {
namespace {

// -1, 0 or 1, or 2 where a NaN makes them unordered. Integers and floats compare by exact value.
int CompareNumbers(const Value& left, const Value& right) {
  const auto order = [](auto a, auto b) { return a < b ? -1 : a > b ? 1 : 0; };
  if (left.IsIntegral() && right.IsIntegral()) return order(left.integer(), right.integer());
  if (left.Is(Kind::kFloat) && right.Is(Kind::kFloat)) {
    if (std::isnan(left.real()) || std::isnan(right.real())) return 2;
    return order(left.real(), right.real());
  }
  const bool swapped = right.IsIntegral();
  const Int128 integer = swapped ? right.integer() : left.integer();
  const double real = swapped ? left.real() : right.real();
  if (std::isnan(real)) return 2;
  int result = 0;
  if (std::abs(real) >= 1e38) {
    result = real > 0 ? -1 : 1;
  } else {
    const double whole = std::trunc(real);
    result = order(integer, static_cast<Int128>(whole));
    if (result == 0) result = order(0.0, real - whole);
  }
  return swapped ? -result : result;
}

// NOLINTBEGIN(misc-no-recursion): bounded by kMaxValueDepth
Result<bool> EqualAt(Runtime& runtime, const Value& left, const Value& right, int depth) {
  if (depth > kMaxValueDepth) return LimitError("values are nested too deep to be compared");
  FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right) == 0;
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(std::min(left.text().size, right.text().size)));
      return left.view() == right.view();
    case Kind::kList:
    case Kind::kTuple: {
      const std::vector<Value>& a = left.list().items;
      const std::vector<Value>& b = right.list().items;
      if (a.size() != b.size()) return false;
      for (size_t i = 0; i < a.size(); ++i) {
        FASTKV_ASSIGN_OR_RETURN(const bool equal, EqualAt(runtime, a[i], b[i], depth + 1));
        if (!equal) return false;
      }
      return true;
    }
    case Kind::kDict: {
      const DictObject& a = left.dict();
      const DictObject& b = right.dict();
      if (a.entries.size() != b.entries.size()) return false;
      for (const auto& [key, value] : a.entries) {
        FASTKV_ASSIGN_OR_RETURN(const Value* other, Lookup(runtime, b, key));
        if (other == nullptr) return false;
        FASTKV_ASSIGN_OR_RETURN(const bool equal, EqualAt(runtime, value, *other, depth + 1));
        if (!equal) return false;
      }
      return true;
    }
    case Kind::kRange: {
      const RangeObject& a = left.range();
      const RangeObject& b = right.range();
      return a.length == b.length && (a.length == 0 || a.start == b.start) &&
             (a.length <= 1 || a.step == b.step);
    }
    case Kind::kFunction:
      return left.function() == right.function();
    case Kind::kMethod: {
      const MethodObject& a = left.method();
      const MethodObject& b = right.method();
      return a.method == b.method && a.self.kind() == b.self.kind() &&
             (a.self.IsString() ? a.self.view() == b.self.view()
                                : a.self.object() == b.self.object());
    }
    default:
      return left.object() == right.object();
  }
}

Result<bool> LessAt(Runtime& runtime, const Value& left, const Value& right, int depth) {
  if (depth > kMaxValueDepth) return LimitError("values are nested too deep to be compared");
  FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
  if (left.IsUndefined()) return UndefinedError(left);
  if (right.IsUndefined()) return UndefinedError(right);
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right) == -1;
  if (left.IsString() && right.IsString()) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(std::min(left.text().size, right.text().size)));
    return left.view() < right.view();
  }
  if (left.IsSequence() && left.kind() == right.kind()) {
    const std::vector<Value>& a = left.list().items;
    const std::vector<Value>& b = right.list().items;
    for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
      FASTKV_ASSIGN_OR_RETURN(const bool equal, EqualAt(runtime, a[i], b[i], depth + 1));
      if (!equal) return LessAt(runtime, a[i], b[i], depth + 1);
    }
    return a.size() < b.size();
  }
  return TypeError("'<' and '>' do not work between '" + std::string(TypeName(left)) + "' and '" +
                   std::string(TypeName(right)) + "'");
}
// NOLINTEND(misc-no-recursion)

Result<bool> NotResult(Result<bool> result) {
  if (result.ok()) *result = !*result;
  return result;
}

// left <= right. Not the negation of >: NaN is neither.
Result<bool> LessOrEqual(Runtime& runtime, const Value& left, const Value& right) {
  if (left.IsNumber() && right.IsNumber()) {
    const int order = CompareNumbers(left, right);
    return order == -1 || order == 0;
  }
  FASTKV_ASSIGN_OR_RETURN(const bool less, Less(runtime, left, right));
  return less ? Result<bool>(true) : Equal(runtime, left, right);
}

}  // namespace

bool IsTrue(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.boolean();
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.list().items.empty();
    case Kind::kDict:
      return !value.dict().entries.empty();
    case Kind::kDictView:
      return !value.dict_view().dict->entries.empty();
    case Kind::kRange:
      return value.range().length != 0;
    default:
      return true;
  }
}

Result<bool> Equal(Runtime& runtime, const Value& left, const Value& right) {
  return EqualAt(runtime, left, right, 0);
}

Result<bool> Less(Runtime& runtime, const Value& left, const Value& right) {
  return LessAt(runtime, left, right, 0);
}

Result<bool> Compare(Runtime& runtime, Comparison comparison, const Value& left,
                     const Value& right) {
  switch (comparison) {
    case Comparison::kEqual:
      return Equal(runtime, left, right);
    case Comparison::kNotEqual:
      return NotResult(Equal(runtime, left, right));
    case Comparison::kLess:
      return Less(runtime, left, right);
    case Comparison::kLessEqual:
      return LessOrEqual(runtime, left, right);
    case Comparison::kGreater:
      return Less(runtime, right, left);
    case Comparison::kGreaterEqual:
      return LessOrEqual(runtime, right, left);
    case Comparison::kIn:
      return Contains(runtime, right, left);
    case Comparison::kNotIn:
      return NotResult(Contains(runtime, right, left));
  }
  return false;
}

Result<bool> Contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.IsString()) {
    if (!item.IsString()) {
      return TypeError("'in <string>' requires a string on its left side, not " +
                       std::string(TypeName(item)));
    }
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(container.text().size));
    return container.view().find(item.view()) != std::string_view::npos;
  }
  const bool keys =
      container.Is(Kind::kDict) ||
      (container.Is(Kind::kDictView) && container.dict_view().what == DictViewObject::What::kKeys);
  if (keys) {
    FASTKV_RETURN_IF_ERROR(CheckHashable(runtime, item));
    const DictObject& dict =
        container.Is(Kind::kDict) ? container.dict() : *container.dict_view().dict;
    FASTKV_ASSIGN_OR_RETURN(const Value* found, Lookup(runtime, dict, item));
    return found != nullptr;
  }
  if (!IsIterable(container)) {
    return TypeError("argument of type '" + std::string(TypeName(container)) + "' is not iterable");
  }
  FASTKV_ASSIGN_OR_RETURN(IteratorObject * iterator, Iterate(runtime, container));
  while (true) {
    Value candidate;
    FASTKV_ASSIGN_OR_RETURN(const bool more, iterator->Next(runtime, &candidate));
    if (!more) return false;
    FASTKV_ASSIGN_OR_RETURN(const bool equal, Equal(runtime, candidate, item));
    if (equal) return true;
  }
}

Status CheckHashable(Runtime& runtime, const Value& key) {
  std::vector<const Value*> pending = {&key};
  while (!pending.empty()) {
    const Value& value = *pending.back();
    pending.pop_back();
    if (value.Is(Kind::kList) || value.Is(Kind::kDict) || value.Is(Kind::kDictView)) {
      return TypeError("unhashable type: '" + std::string(TypeName(value)) + "'");
    }
    if (!value.Is(Kind::kTuple)) continue;
    // One tuple may stand in another many times, so the steps alone bound what that unfolds to.
    FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1 + value.list().items.size()));
    for (const Value& item : value.list().items) pending.push_back(&item);
  }
  return OkStatus();
}

Result<const Value*> Lookup(Runtime& runtime, const DictObject& dict, const Value& key) {
  if (key.IsString()) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(key.text().size));
    return dict.Find(key.view());
  }
  for (const auto& [candidate, value] : dict.entries) {
    if (candidate.IsString()) continue;
    FASTKV_ASSIGN_OR_RETURN(const bool equal, Equal(runtime, candidate, key));
    if (equal) return &value;
  }
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(dict.entries.size()));
  return nullptr;
}

Status Insert(Runtime& runtime, DictObject* dict, const Value& key, const Value& value) {
  FASTKV_RETURN_IF_ERROR(CheckHashable(runtime, key));
  for (auto& [candidate, current] : dict->entries) {
    if (candidate.kind() == Kind::kString && key.IsString() &&
        candidate.text().size != key.text().size) {
      continue;
    }
    FASTKV_ASSIGN_OR_RETURN(const bool equal, Equal(runtime, candidate, key));
    if (equal) {
      current = value;
      return OkStatus();
    }
  }
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(dict->entries.size()));
  FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(2));
  dict->entries.emplace_back(key, value);
  return OkStatus();
}

Result<std::vector<size_t>> StableOrder(Runtime& runtime, const std::vector<Value>& keys,
                                        bool reverse) {
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::vector<size_t> merged(keys.size());
  // Our own merge sort: comparing may fail, and a NaN would break the contract of std::stable_sort.
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, order.size());
      const size_t end = std::min(begin + 2 * width, order.size());
      size_t left = begin;
      size_t right = middle;
      for (size_t out = begin; out < end; ++out) {
        bool take_right = left == middle;
        if (!take_right && right < end) {
          const Value& a = keys[order[left]];
          const Value& b = keys[order[right]];
          FASTKV_ASSIGN_OR_RETURN(take_right, reverse ? Less(runtime, a, b) : Less(runtime, b, a));
        }
        merged[out] = take_right ? order[right++] : order[left++];
      }
    }
    order.swap(merged);
  }
  return order;
}

}  // namespace fastkv::jinja
