// Filters whose result is an iterator, as jinja2's generators are: nothing is looked at before it
// is asked for, and there is no length.
#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/predicates.h"
#include "text/jinja/represent.h"
#include "text/jinja/text_operations.h"

namespace fastkv::jinja {
namespace {

// Holds what a generator function does before its first item until that item is wanted.
struct LazyIterator : IteratorObject {
  LazyIterator(const Value& from, CallArguments given)
      : source(from), arguments(std::move(given)) {}

  // The next item of the source.
  Result<bool> Pull(Runtime& runtime, Value* item) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
    // jinja2 does not look into what counts as false.
    if (items == nullptr && !IsTrue(source)) return false;
    if (items == nullptr) {
      FASTKV_ASSIGN_OR_RETURN(items, Iterate(runtime, source));
    }
    return items->Next(runtime, item);
  }

  Value source;
  CallArguments arguments;
  IteratorObject* items = nullptr;
};

Result<Text> NameArgument(const Value& name) {
  return AsText(name, "the name of a filter or test");
}

struct MapIterator : LazyIterator {
  using LazyIterator::LazyIterator;

  Result<bool> Produce(Runtime& runtime, Value* item) override {
    if (items == nullptr && IsTrue(source)) FASTKV_RETURN_IF_ERROR(Prepare());
    Value from;
    FASTKV_ASSIGN_OR_RETURN(const bool more, Pull(runtime, &from));
    if (!more) return false;
    if (!attribute.IsMissing()) {
      FASTKV_ASSIGN_OR_RETURN(*item, GetPath(runtime, from, attribute, otherwise));
    } else {
      FASTKV_ASSIGN_OR_RETURN(*item, CallFilter(runtime, filter, from, arguments));
    }
    return true;
  }

  Status Prepare() {
    if (arguments.positional.empty()) {
      for (const auto& [name, value] : arguments.keywords) {
        if (name == "attribute") {
          attribute = value;
        } else if (name == "default") {
          otherwise = value;
        } else {
          return TypeError("map() got an unexpected keyword argument '" + name + "'");
        }
      }
      if (attribute.IsMissing()) return TypeError("map needs the name of a filter or an attribute");
      return OkStatus();
    }
    FASTKV_ASSIGN_OR_RETURN(const Text name, NameArgument(arguments.positional[0]));
    filter = name.view();
    arguments.positional.erase(arguments.positional.begin());
    return OkStatus();
  }

  Value attribute;
  Value otherwise;
  std::string filter;
};

struct SelectIterator : LazyIterator {
  SelectIterator(const Value& from, CallArguments given, bool wanted, bool by_attribute)
      : LazyIterator(from, std::move(given)), keeps(wanted), has_attribute(by_attribute) {}

  Result<bool> Produce(Runtime& runtime, Value* item) override {
    if (items == nullptr && IsTrue(source)) FASTKV_RETURN_IF_ERROR(Prepare());
    while (true) {
      FASTKV_ASSIGN_OR_RETURN(const bool more, Pull(runtime, item));
      if (!more) return false;
      FASTKV_ASSIGN_OR_RETURN(const Value subject, GetPath(runtime, *item, attribute));
      bool passes = IsTrue(subject);
      if (!test.empty()) {
        FASTKV_ASSIGN_OR_RETURN(passes, CallPredicate(runtime, test, subject, arguments));
      }
      if (passes == keeps) return true;
    }
  }

  Status Prepare() {
    std::vector<Value>& given = arguments.positional;
    if (has_attribute) {
      if (given.empty()) return TypeError("selectattr needs the name of an attribute");
      attribute = given[0];
      given.erase(given.begin());
    }
    if (given.empty()) return OkStatus();
    FASTKV_ASSIGN_OR_RETURN(const Text name, NameArgument(given[0]));
    test = name.view();
    given.erase(given.begin());
    return OkStatus();
  }

  bool keeps;
  bool has_attribute;
  Value attribute;
  std::string test;
};

struct UniqueIterator : LazyIterator {
  using LazyIterator::LazyIterator;

  Result<bool> Produce(Runtime& runtime, Value* item) override {
    FASTKV_ASSIGN_OR_RETURN(const auto bound,
                            Bind("unique", {"case_sensitive", "attribute"}, 0, arguments));
    const bool case_sensitive = !bound[0].IsMissing() && IsTrue(bound[0]);
    while (true) {
      FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
      if (items == nullptr) {
        FASTKV_ASSIGN_OR_RETURN(items, Iterate(runtime, source));
      }
      FASTKV_ASSIGN_OR_RETURN(const bool more, items->Next(runtime, item));
      if (!more) return false;
      FASTKV_ASSIGN_OR_RETURN(const Value part, GetPath(runtime, *item, bound[1]));
      FASTKV_ASSIGN_OR_RETURN(const Value key, SortKey(runtime, part, case_sensitive));
      FASTKV_RETURN_IF_ERROR(CheckHashable(runtime, key));
      bool known = false;
      for (const Value& other : seen) {
        FASTKV_ASSIGN_OR_RETURN(known, Equal(runtime, other, key));
        if (known) break;
      }
      if (known) continue;
      FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(1));
      seen.push_back(key);
      return true;
    }
  }

  std::vector<Value> seen;
};

struct BatchIterator : LazyIterator {
  using LazyIterator::LazyIterator;

  Result<bool> Produce(Runtime& runtime, Value* item) override {
    FASTKV_ASSIGN_OR_RETURN(const auto bound,
                            Bind("batch", {"linecount", "fill_with"}, 1, arguments));
    FASTKV_ASSIGN_OR_RETURN(const int64_t size, ToIndex(bound[0], "linecount"));
    if (items == nullptr) {
      FASTKV_ASSIGN_OR_RETURN(items, Iterate(runtime, source));
    }
    std::vector<Value> batch;
    // The first comparison comes after the first item, so a size of zero or less never cuts.
    while (batch.empty() || static_cast<int64_t>(batch.size()) != size) {
      FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
      Value next;
      FASTKV_ASSIGN_OR_RETURN(const bool more, items->Next(runtime, &next));
      if (!more) break;
      FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(1));
      batch.push_back(next);
    }
    if (batch.empty()) return false;
    if (!bound[1].IsMissing() && !bound[1].IsNone()) {
      while (static_cast<int64_t>(batch.size()) < size) {
        FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(1));
        batch.push_back(bound[1]);
      }
    }
    FASTKV_ASSIGN_OR_RETURN(*item, runtime.heap.NewList(std::move(batch)));
    return true;
  }
};

template <typename Iterator, typename... Args>
Result<Value> NewLazy(Runtime& runtime, const Value& value, const CallArguments& arguments,
                      Args... args) {
  FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(arguments.positional.size()));
  FASTKV_ASSIGN_OR_RETURN(Iterator * iterator,
                          runtime.heap.New<Iterator>(value, arguments, args...));
  return Value::Of(Kind::kIterator, iterator);
}

Result<Value> Map(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  return NewLazy<MapIterator>(runtime, value, arguments);
}

template <bool kKeeps, bool kByAttribute>
Result<Value> Choose(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  return NewLazy<SelectIterator>(runtime, value, arguments, kKeeps, kByAttribute);
}

Result<Value> Unique(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  return NewLazy<UniqueIterator>(runtime, value, arguments);
}

Result<Value> Batch(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  return NewLazy<BatchIterator>(runtime, value, arguments);
}

// `slices` lists of about equal length, one after the other.
Result<Value> Slices(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("slice", {"slices", "fill_with"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const int64_t slices, ToIndex(bound[0], "slices"));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, value));
  if (slices == 0) return InvalidArgumentError("slice: division by zero");
  const auto length = static_cast<int64_t>(items.size());
  std::vector<Value> lists;
  for (int64_t i = 0; i < slices; ++i) {
    FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
    const int64_t begin = i * (length / slices) + std::min(i, length % slices);
    const int64_t end = begin + length / slices + (i < length % slices ? 1 : 0);
    std::vector<Value> part(items.begin() + begin, items.begin() + end);
    if (!bound[1].IsMissing() && !bound[1].IsNone() && i >= length % slices) {
      part.push_back(bound[1]);
    }
    FASTKV_ASSIGN_OR_RETURN(const Value list, runtime.heap.NewList(std::move(part)));
    lists.push_back(list);
  }
  return NewItemIterator(runtime, std::move(lists));
}

// A generator too: what is no mapping is an error only once it is read.
struct ItemsIterator : LazyIterator {
  using LazyIterator::LazyIterator;

  Result<bool> Produce(Runtime& runtime, Value* item) override {
    if (source.IsUndefined()) return false;
    if (!source.Is(Kind::kDict)) return TypeError("items can only be got from a mapping");
    const auto& entries = source.dict().entries;
    if (position >= entries.size()) return false;
    const auto& [key, value] = entries[position++];
    FASTKV_ASSIGN_OR_RETURN(*item, runtime.heap.NewList({key, value}, Kind::kTuple));
    return true;
  }

  size_t position = 0;
};

Result<Value> Items(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("items", arguments));
  return NewLazy<ItemsIterator>(runtime, value, arguments);
}

constexpr Filter kFilters[] = {
    {"batch", Batch},
    {"items", Items},
    {"map", Map},
    {"reject", Choose<false, false>},
    {"rejectattr", Choose<false, true>},
    {"select", Choose<true, false>},
    {"selectattr", Choose<true, true>},
    {"slice", Slices},
    {"unique", Unique},
};

}  // namespace

std::span<const Filter> LazyFilters() { return kFilters; }

}  // namespace fastkv::jinja
