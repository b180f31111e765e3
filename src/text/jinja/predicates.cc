#include "text/jinja/predicates.h"

#include "text/jinja/filters.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/represent.h"
#include "text/jinja/text_operations.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

template <Kind kKind>
Result<bool> IsKind(Runtime&, const Value& value, const Value&) {
  return value.Is(kKind);
}

Result<bool> Defined(Runtime&, const Value& value, const Value&) { return !value.IsUndefined(); }

Result<bool> Number(Runtime&, const Value& value, const Value&) { return value.IsNumber(); }

template <bool kWanted>
Result<bool> IsBool(Runtime&, const Value& value, const Value&) {
  return value.Is(Kind::kBool) && value.boolean() == kWanted;
}

// A length and items by key or index: views and iterators have no items; undefined seems to.
Result<bool> Sequence(Runtime&, const Value& value, const Value&) {
  return HasLength(value) && !value.Is(Kind::kDictView);
}

Result<bool> Iterable(Runtime&, const Value& value, const Value&) {
  return IsIterable(value) || value.Is(Kind::kLoop);
}

Result<bool> Callable(Runtime&, const Value& value, const Value&) {
  switch (value.kind()) {
    case Kind::kUndefined:  // has a __call__, which raises
    case Kind::kMacro:
    case Kind::kMethod:
    case Kind::kFunction:
    case Kind::kLoop:
    case Kind::kJoiner:
      return true;
    default:
      return false;
  }
}

Result<bool> RemainderIs(Runtime& runtime, const Value& value, const Value& divisor,
                         Int128 remainder) {
  FASTKV_ASSIGN_OR_RETURN(const Value rest,
                          Combine(runtime, BinaryOperator::kModulo, value, divisor));
  return Equal(runtime, rest, Value::Int(remainder));
}

Result<bool> Odd(Runtime& runtime, const Value& value, const Value&) {
  return RemainderIs(runtime, value, Value::Int(2), 1);
}

Result<bool> Even(Runtime& runtime, const Value& value, const Value&) {
  return RemainderIs(runtime, value, Value::Int(2), 0);
}

Result<bool> DivisibleBy(Runtime& runtime, const Value& value, const Value& divisor) {
  return RemainderIs(runtime, value, divisor, 0);
}

template <bool kLower>
Result<bool> HasCase(Runtime& runtime, const Value& value, const Value&) {
  FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime, value));
  FASTKV_RETURN_IF_ERROR(runtime.budget().Scan(text.size));
  return HasOneCase(text.view(), kLower);
}

template <Comparison kComparison>
Result<bool> Compares(Runtime& runtime, const Value& value, const Value& argument) {
  return Compare(runtime, kComparison, value, argument);
}

// Python's `is`. Small integers and equal literals happen to be the same object there; what
// templates ask is whether something is none, true or false.
Result<bool> SameAs(Runtime& runtime, const Value& value, const Value& argument) {
  if (value.kind() != argument.kind()) return false;
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
      return value.object() == argument.object();
    default:
      return Equal(runtime, value, argument);
  }
}

Result<bool> IsFilterName(Runtime&, const Value& value, const Value&) {
  return value.IsString() && FindFilter(value.view()) != nullptr;
}

Result<bool> IsPredicateName(Runtime&, const Value& value, const Value&) {
  return value.IsString() && FindPredicate(value.view()) != nullptr;
}

// Nothing is marked as escaped, for nothing is escaped.
Result<bool> Escaped(Runtime&, const Value&, const Value&) { return false; }

constexpr Predicate kPredicates[] = {
    {"!=", 1, Compares<Comparison::kNotEqual>},
    {"<", 1, Compares<Comparison::kLess>},
    {"<=", 1, Compares<Comparison::kLessEqual>},
    {"==", 1, Compares<Comparison::kEqual>},
    {">", 1, Compares<Comparison::kGreater>},
    {">=", 1, Compares<Comparison::kGreaterEqual>},
    {"boolean", 0, IsKind<Kind::kBool>},
    {"callable", 0, Callable},
    {"defined", 0, Defined},
    {"divisibleby", 1, DivisibleBy},
    {"eq", 1, Compares<Comparison::kEqual>},
    {"equalto", 1, Compares<Comparison::kEqual>},
    {"escaped", 0, Escaped},
    {"even", 0, Even},
    {"false", 0, IsBool<false>},
    {"filter", 0, IsFilterName},
    {"float", 0, IsKind<Kind::kFloat>},
    {"ge", 1, Compares<Comparison::kGreaterEqual>},
    {"greaterthan", 1, Compares<Comparison::kGreater>},
    {"gt", 1, Compares<Comparison::kGreater>},
    {"in", 1, Compares<Comparison::kIn>},
    {"integer", 0, IsKind<Kind::kInt>},
    {"iterable", 0, Iterable},
    {"le", 1, Compares<Comparison::kLessEqual>},
    {"lessthan", 1, Compares<Comparison::kLess>},
    {"lower", 0, HasCase<true>},
    {"lt", 1, Compares<Comparison::kLess>},
    {"mapping", 0, IsKind<Kind::kDict>},
    {"ne", 1, Compares<Comparison::kNotEqual>},
    {"none", 0, IsKind<Kind::kNone>},
    {"number", 0, Number},
    {"odd", 0, Odd},
    {"sameas", 1, SameAs},
    {"sequence", 0, Sequence},
    {"string", 0, IsKind<Kind::kString>},
    {"test", 0, IsPredicateName},
    {"true", 0, IsBool<true>},
    {"undefined", 0, IsKind<Kind::kUndefined>},
    {"upper", 0, HasCase<false>},
};

}  // namespace

const Predicate* FindPredicate(std::string_view name) {
  for (const Predicate& predicate : kPredicates) {
    if (predicate.name == name) return &predicate;
  }
  return nullptr;
}

Result<bool> CallPredicate(Runtime& runtime, std::string_view name, const Value& value,
                           const CallArguments& arguments) {
  const Predicate* predicate = FindPredicate(name);
  if (predicate == nullptr) return UnsupportedError("unknown test '" + std::string(name) + "'");
  Value argument;
  if (arguments.positional.size() + arguments.keywords.size() != predicate->arguments) {
    return TypeError("the test '" + std::string(name) + "' takes " +
                     std::to_string(predicate->arguments) + " arguments, got " +
                     std::to_string(arguments.positional.size() + arguments.keywords.size()));
  }
  if (predicate->arguments == 1) {
    argument =
        arguments.positional.empty() ? arguments.keywords[0].second : arguments.positional[0];
  }
  return predicate->call(runtime, value, argument);
}

}  // namespace fastkv::jinja
