#include "text/jinja/methods.h"

#include <algorithm>

#include "text/jinja/operators.h"

namespace fastkv::jinja {
namespace {

const Method* FindIn(std::span<const Method> methods, std::string_view name) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const Method& method) { return method.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

Result<Value> NotBuilt(Runtime&, const Value& self, const CallArguments&) {
  return UnsupportedError("a method of '" + std::string(TypeName(self)) +
                          "' that the interpreter does not have is called");
}

// Methods Python has and the interpreter does not: they exist, for `is defined`, but cannot be
// called.
constexpr Method kNotBuiltText[] = {
    {"encode", NotBuilt},       {"expandtabs", NotBuilt}, {"format_map", NotBuilt},
    {"isidentifier", NotBuilt}, {"isnumeric", NotBuilt},  {"maketrans", NotBuilt},
    {"translate", NotBuilt},
};
constexpr Method kNotBuiltInteger[] = {
    {"as_integer_ratio", NotBuilt},
    {"bit_count", NotBuilt},
    {"bit_length", NotBuilt},
    {"conjugate", NotBuilt},
    {"denominator", NotBuilt},
    {"from_bytes", NotBuilt},
    {"imag", NotBuilt},
    {"numerator", NotBuilt},
    {"real", NotBuilt},
    {"to_bytes", NotBuilt},
};
constexpr Method kNotBuiltFloat[] = {
    {"as_integer_ratio", NotBuilt},
    {"conjugate", NotBuilt},
    {"fromhex", NotBuilt},
    {"hex", NotBuilt},
    {"imag", NotBuilt},
    {"is_integer", NotBuilt},
    {"real", NotBuilt},
};
constexpr Method kNotBuiltDict[] = {{"fromkeys", NotBuilt}};
constexpr Method kNotBuiltView[] = {{"isdisjoint", NotBuilt}, {"mapping", NotBuilt}};

Result<Value> LoopCycle(Runtime&, const Value& self, const CallArguments& arguments) {
  const std::vector<Value>& items = arguments.positional;
  if (items.empty()) return TypeError("loop.cycle() needs at least one value");
  return items[static_cast<size_t>(self.loop().index0) % items.size()];
}

Result<Value> LoopChanged(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  LoopObject& loop = self.loop();
  FASTKV_ASSIGN_OR_RETURN(const Value values,
                          runtime.heap.NewList(arguments.positional, Kind::kTuple));
  FASTKV_ASSIGN_OR_RETURN(const bool same, Equal(runtime, loop.last_changed, values));
  if (!same) loop.last_changed = values;
  return Value::Bool(!same);
}

Result<Value> CyclerNext(Runtime&, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("next", arguments));
  CyclerObject& cycler = self.cycler();
  const Value current = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return current;
}

Result<Value> CyclerReset(Runtime&, const Value& self, const CallArguments& arguments) {
  FASTKV_RETURN_IF_ERROR(NoArguments("reset", arguments));
  self.cycler().position = 0;
  return Value::None();
}

constexpr Method kLoopMethods[] = {{"changed", LoopChanged}, {"cycle", LoopCycle}};
constexpr Method kCyclerMethods[] = {{"next", CyclerNext}, {"reset", CyclerReset}};

}  // namespace

const Method* FindMethod(Kind kind, std::string_view name) {
  const auto first_of = [&](std::initializer_list<std::span<const Method>> tables) {
    const Method* method = nullptr;
    for (const std::span<const Method> table : tables) {
      if (method == nullptr) method = FindIn(table, name);
    }
    return method;
  };
  switch (kind) {
    case Kind::kString:
      return first_of({TextMethods(), TextSearchMethods(), kNotBuiltText});
    case Kind::kBool:
    case Kind::kInt:
      return FindIn(kNotBuiltInteger, name);
    case Kind::kFloat:
      return FindIn(kNotBuiltFloat, name);
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
      return FindIn(ContainerMethods(kind), name);
    case Kind::kDict:
      return first_of({ContainerMethods(kind), kNotBuiltDict});
    case Kind::kDictView:
      return FindIn(kNotBuiltView, name);
    case Kind::kLoop:
      return FindIn(kLoopMethods, name);
    case Kind::kCycler:
      return FindIn(kCyclerMethods, name);
    default:
      return nullptr;
  }
}

bool IsHidden(Kind kind, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear",  "extend",  "insert",
                                               "pop",    "remove", "reverse", "sort"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  const auto has = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  return (kind == Kind::kList && has(kList)) || (kind == Kind::kDict && has(kDict));
}

}  // namespace fastkv::jinja
