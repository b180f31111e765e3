// Filters on lists and dictionaries that give their result at once.
#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/represent.h"
#include "text/jinja/text_operations.h"

namespace fastkv::jinja {
namespace {

bool Flag(const Value& value) { return !value.IsMissing() && IsTrue(value); }

Result<Value> CountItems(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("length", arguments));
  FASTKV_ASSIGN_OR_RETURN(const int64_t length, Length(runtime, value));
  return Value::Int(length);
}

Result<Value> ToList(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("list", arguments));
  FASTKV_ASSIGN_OR_RETURN(std::vector<Value> items, Collect(runtime, value));
  return runtime.heap.NewList(std::move(items));
}

Result<Value> First(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("first", arguments));
  FASTKV_ASSIGN_OR_RETURN(IteratorObject * iterator, Iterate(runtime, value));
  Value item;
  FASTKV_ASSIGN_OR_RETURN(const bool any, iterator->Next(runtime, &item));
  if (any) return item;
  return Value::Undefined(UndefinedReason::kMessage, "no first item, sequence was empty");
}

Result<Value> Last(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("last", arguments));
  if (value.Is(Kind::kIterator)) {
    return TypeError("last: '" + std::string(TypeName(value)) + "' cannot be read from its end");
  }
  FASTKV_ASSIGN_OR_RETURN(const int64_t length, Length(runtime, value));
  if (length == 0) {
    return Value::Undefined(UndefinedReason::kMessage, "no last item, sequence was empty");
  }
  if (value.IsString() || value.IsSequence() || value.Is(Kind::kRange)) {
    return GetItem(runtime, value, Value::Int(-1));
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  return items.back();
}

Result<Value> Default(Runtime&, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("default", {"default_value", "boolean"}, 0, arguments));
  if (!value.IsUndefined() && !(Flag(bound[1]) && !IsTrue(value))) return value;
  return bound[0].IsMissing() ? Value::String({}) : bound[0];
}

Result<Value> Attribute(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("attr", {"name"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text name, ToText(runtime, bound[0]));
  if (value.IsUndefined()) return UndefinedError(value);
  return GetAttributeOnly(runtime, value, NameOf(name));
}

// Items in the order of their keys.
Result<std::vector<Value>> Ordered(Runtime& runtime, const std::vector<Value>& items,
                                   const std::vector<Value>& keys, bool reverse) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<size_t> order, StableOrder(runtime, keys, reverse));
  std::vector<Value> sorted;
  sorted.reserve(items.size());
  for (const size_t i : order) sorted.push_back(items[i]);
  return sorted;
}

// One key an item: a list with one member for each of the attributes that commas separate.
Result<std::vector<Value>> SortKeys(Runtime& runtime, const std::vector<Value>& items,
                                    const Value& attribute, bool case_sensitive) {
  std::vector<Value> attributes;
  if (attribute.IsString()) {
    const Text& text = attribute.text();
    size_t begin = 0;
    while (true) {
      const size_t end = std::min(text.view().find(',', begin), size_t{text.size});
      attributes.push_back(Value::String(text.Slice(begin, end - begin)));
      if (end == text.size) break;
      begin = end + 1;
    }
  } else {
    attributes.push_back(attribute);
  }
  std::vector<Value> keys;
  keys.reserve(items.size());
  for (const Value& item : items) {
    std::vector<Value> parts;
    for (const Value& path : attributes) {
      FASTKV_ASSIGN_OR_RETURN(const Value part, GetPath(runtime, item, path));
      FASTKV_ASSIGN_OR_RETURN(const Value key, SortKey(runtime, part, case_sensitive));
      parts.push_back(key);
    }
    FASTKV_ASSIGN_OR_RETURN(const Value key, runtime.heap.NewList(std::move(parts)));
    keys.push_back(key);
  }
  return keys;
}

Result<Value> Sort(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("sort", {"reverse", "case_sensitive", "attribute"}, 0, arguments));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> keys,
                          SortKeys(runtime, items, bound[2], Flag(bound[1])));
  FASTKV_ASSIGN_OR_RETURN(std::vector<Value> sorted, Ordered(runtime, items, keys, Flag(bound[0])));
  return runtime.heap.NewList(std::move(sorted));
}

Result<Value> DictSort(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("dictsort", {"case_sensitive", "by", "reverse"}, 0, arguments));
  bool by_value = false;
  if (!bound[1].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(const Text by, AsText(bound[1], "by"));
    by_value = by.view() == "value";
    if (!by_value && by.view() != "key") {
      return InvalidArgumentError("dictsort: by must be 'key' or 'value'");
    }
  }
  if (value.IsUndefined()) return UndefinedError(value);
  if (!value.Is(Kind::kDict)) return TypeError("dictsort needs a dictionary");
  std::vector<Value> items;
  std::vector<Value> keys;
  for (const auto& entry : value.dict().entries) {
    FASTKV_ASSIGN_OR_RETURN(const Value pair,
                            runtime.heap.NewList({entry.first, entry.second}, Kind::kTuple));
    FASTKV_ASSIGN_OR_RETURN(
        const Value key, SortKey(runtime, by_value ? entry.second : entry.first, Flag(bound[0])));
    items.push_back(pair);
    keys.push_back(key);
  }
  FASTKV_ASSIGN_OR_RETURN(std::vector<Value> sorted, Ordered(runtime, items, keys, Flag(bound[2])));
  return runtime.heap.NewList(std::move(sorted));
}

template <bool kMax>
Result<Value> Extreme(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("min", {"case_sensitive", "attribute"}, 0, arguments));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  if (items.empty()) {
    return Value::Undefined(UndefinedReason::kMessage, "no aggregated item, sequence was empty");
  }
  Value best;
  Value best_key;
  for (const Value& item : items) {
    FASTKV_ASSIGN_OR_RETURN(const Value part, GetPath(runtime, item, bound[1]));
    FASTKV_ASSIGN_OR_RETURN(const Value key, SortKey(runtime, part, Flag(bound[0])));
    bool better = best_key.IsMissing();
    if (!better) {
      FASTKV_ASSIGN_OR_RETURN(better,
                              kMax ? Less(runtime, best_key, key) : Less(runtime, key, best_key));
    }
    if (better) {
      best = item;
      best_key = key;
    }
  }
  return best;
}

Result<Value> Sum(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("sum", {"attribute", "start"}, 0, arguments));
  Value total = bound[1].IsMissing() ? Value::Int(0) : bound[1];
  if (total.IsString()) return TypeError("sum() does not add strings; use join");
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  for (const Value& item : items) {
    FASTKV_ASSIGN_OR_RETURN(const Value part, GetPath(runtime, item, bound[0]));
    FASTKV_ASSIGN_OR_RETURN(total, Combine(runtime, BinaryOperator::kAdd, total, part));
  }
  return total;
}

Result<Value> GroupBy(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(
      const auto bound, Bind("groupby", {"attribute", "default", "case_sensitive"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  const bool case_sensitive = Flag(bound[2]);
  std::vector<Value> keys;
  for (const Value& item : items) {
    FASTKV_ASSIGN_OR_RETURN(const Value part, GetPath(runtime, item, bound[0], bound[1]));
    FASTKV_ASSIGN_OR_RETURN(const Value key, SortKey(runtime, part, case_sensitive));
    keys.push_back(key);
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<size_t> order, StableOrder(runtime, keys, false));
  std::vector<Value> groups;
  for (size_t i = 0; i < order.size();) {
    std::vector<Value> members;
    const Value& key = keys[order[i]];
    // The name of a group is the first member's own, not the lowered one.
    FASTKV_ASSIGN_OR_RETURN(const Value name,
                            GetPath(runtime, items[order[i]], bound[0], bound[1]));
    while (i < order.size()) {
      FASTKV_ASSIGN_OR_RETURN(const bool same, Equal(runtime, keys[order[i]], key));
      if (!same) break;
      members.push_back(items[order[i++]]);
    }
    FASTKV_ASSIGN_OR_RETURN(const Value list, runtime.heap.NewList(std::move(members)));
    FASTKV_ASSIGN_OR_RETURN(const Value group, runtime.heap.NewList({name, list}, Kind::kTuple));
    group.list().is_group = true;
    groups.push_back(group);
  }
  return runtime.heap.NewList(std::move(groups));
}

Result<Value> Reverse(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("reverse", arguments));
  if (value.IsString()) return Slice(runtime, value, Value(), Value(), Value::Int(-1));
  FASTKV_ASSIGN_OR_RETURN(std::vector<Value> items, Collect(runtime, value));
  std::reverse(items.begin(), items.end());
  // What Python can read backwards gives an iterator; the rest was made a list first.
  if (HasLength(value) && !value.IsUndefined()) return NewItemIterator(runtime, std::move(items));
  return runtime.heap.NewList(std::move(items));
}

constexpr Filter kFilters[] = {
    {"attr", Attribute},    {"count", CountItems}, {"d", Default},         {"default", Default},
    {"dictsort", DictSort}, {"first", First},      {"groupby", GroupBy},   {"last", Last},
    {"length", CountItems}, {"list", ToList},      {"max", Extreme<true>}, {"min", Extreme<false>},
    {"reverse", Reverse},   {"sort", Sort},        {"sum", Sum},
};

}  // namespace

std::span<const Filter> SequenceFilters() { return kFilters; }

}  // namespace fastkv::jinja
