// Methods of lists, tuples, ranges and dictionaries that change nothing.
#include "text/jinja/iterator.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"

namespace fastkv::jinja {
namespace {

Result<Value> NewView(Runtime& runtime, const Value& self, DictViewObject::What what) {
  FASTKV_ASSIGN_OR_RETURN(DictViewObject * view, runtime.heap.New<DictViewObject>());
  view->dict = &self.dict();
  view->what = what;
  return Value::Of(Kind::kDictView, view);
}

Result<Value> DictItems(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("items", arguments));
  return NewView(runtime, self, DictViewObject::What::kItems);
}

Result<Value> DictKeys(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("keys", arguments));
  return NewView(runtime, self, DictViewObject::What::kKeys);
}

Result<Value> DictValues(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("values", arguments));
  return NewView(runtime, self, DictViewObject::What::kValues);
}

Result<Value> DictGet(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  if (!arguments.keywords.empty()) return TypeError("get() takes no keyword arguments");
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("get", {"key", "default"}, 1, arguments));
  FASTKV_RETURN_IF_ERROR(CheckHashable(runtime, bound[0]));
  FASTKV_ASSIGN_OR_RETURN(const Value* found, Lookup(runtime, self.dict(), bound[0]));
  if (found != nullptr) return *found;
  return bound[1].IsMissing() ? Value::None() : bound[1];
}

// Values never change, so a copy may be the thing itself.
Result<Value> Copy(Runtime&, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("copy", arguments));
  return self;
}

Result<Value> Count(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("count", {"value"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, self));
  int64_t count = 0;
  for (const Value& item : items) {
    FASTKV_ASSIGN_OR_RETURN(const bool equal, Equal(runtime, item, bound[0]));
    if (equal) ++count;
  }
  return Value::Int(count);
}

Result<Value> Index(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound,
                          Bind("index", {"value", "start", "stop"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime, self));
  const auto length = static_cast<int64_t>(items.size());
  int64_t ends[2] = {0, length};
  for (size_t i = 0; i < 2; ++i) {
    if (bound[i + 1].IsMissing()) continue;
    FASTKV_ASSIGN_OR_RETURN(ends[i], ToIndex(bound[i + 1], "the argument of index()"));
    if (ends[i] < 0) ends[i] = std::max<int64_t>(ends[i] + length, 0);
  }
  for (int64_t i = ends[0]; i < std::min(ends[1], length); ++i) {
    FASTKV_ASSIGN_OR_RETURN(const bool equal,
                            Equal(runtime, items[static_cast<size_t>(i)], bound[0]));
    if (equal) return Value::Int(i);
  }
  return InvalidArgumentError("index(): the value is not in the list");
}

constexpr Method kDictMethods[] = {
    {"copy", Copy},     {"get", DictGet},       {"items", DictItems},
    {"keys", DictKeys}, {"values", DictValues},
};
constexpr Method kListMethods[] = {{"copy", Copy}, {"count", Count}, {"index", Index}};
constexpr Method kTupleMethods[] = {{"count", Count}, {"index", Index}};

}  // namespace

std::span<const Method> ContainerMethods(Kind kind) {
  switch (kind) {
    case Kind::kDict:
      return kDictMethods;
    case Kind::kList:
      return kListMethods;
    default:
      return kTupleMethods;
  }
}

}  // namespace fastkv::jinja
