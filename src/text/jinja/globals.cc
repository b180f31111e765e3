#include "text/jinja/globals.h"

#include "text/jinja/iterator.h"
#include "text/jinja/local_time.h"
#include "text/jinja/operators.h"
#include "text/jinja/represent.h"
#include "text/jinja/text_operations.h"

namespace fastkv::jinja {
namespace {

Result<Value> Range(Runtime& runtime, const CallArguments& arguments) {
  // The sandbox's own limit.
  constexpr Int128 kMaxItems = 100'000;
  const size_t count = arguments.positional.size();
  if (count < 1 || count > 3 || !arguments.keywords.empty()) {
    return TypeError("range() takes one to three arguments");
  }
  int64_t ends[3] = {0, 0, 1};
  for (size_t i = 0; i < count; ++i) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t end,
                            ToIndex(arguments.positional[i], "an argument of range()"));
    ends[count == 1 ? 1 : i] = end;
  }
  const Int128 step = ends[2];
  if (step == 0) return InvalidArgumentError("range(): the step must not be zero");
  const Int128 span = step > 0 ? Int128{ends[1]} - ends[0] : Int128{ends[0]} - ends[1];
  const Int128 stride = step > 0 ? step : -step;
  const Int128 length = span <= 0 ? 0 : (span - 1) / stride + 1;
  if (length > kMaxItems) {
    return LimitError("range() of more than 100000 items; the sandbox allows no more");
  }
  FASTKV_ASSIGN_OR_RETURN(RangeObject * range, runtime.heap.New<RangeObject>());
  range->start = ends[0];
  range->step = ends[2];
  range->length = static_cast<int64_t>(length);
  return Value::Of(Kind::kRange, range);
}

// dict(mapping or pairs, **keywords), also the arguments of namespace().
Status FillDict(Runtime& runtime, const CallArguments& arguments, DictObject* dict) {
  if (arguments.positional.size() > 1) {
    return TypeError("dict() and namespace() take at most one argument without a name");
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.Is(Kind::kDict)) {
      FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(2 * source.dict().entries.size()));
      dict->entries = source.dict().entries;
    } else {
      FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> pairs, Collect(runtime, source));
      for (const Value& pair : pairs) {
        FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> parts, Collect(runtime, pair));
        if (parts.size() != 2) return TypeError("dict() needs pairs of a key and a value");
        FASTKV_RETURN_IF_ERROR(Insert(runtime, dict, parts[0], parts[1]));
      }
    }
  }
  for (const auto& [name, value] : arguments.keywords) {
    FASTKV_ASSIGN_OR_RETURN(const Value key, runtime.heap.NewString(name, true));
    FASTKV_RETURN_IF_ERROR(Insert(runtime, dict, key, value));
  }
  return OkStatus();
}

Result<Value> Dict(Runtime& runtime, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(DictObject * dict, runtime.heap.New<DictObject>());
  FASTKV_RETURN_IF_ERROR(FillDict(runtime, arguments, dict));
  return Value::Of(Kind::kDict, dict);
}

Result<Value> Namespace(Runtime& runtime, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(NamespaceObject * made, runtime.heap.New<NamespaceObject>());
  FASTKV_RETURN_IF_ERROR(FillDict(runtime, arguments, &made->attributes));
  return Value::Of(Kind::kNamespace, made);
}

Result<Value> Cycler(Runtime& runtime, const CallArguments& arguments) {
  if (arguments.positional.empty() || !arguments.keywords.empty()) {
    return TypeError("cycler() needs at least one item");
  }
  FASTKV_RETURN_IF_ERROR(runtime.heap.ChargeItems(arguments.positional.size()));
  FASTKV_ASSIGN_OR_RETURN(CyclerObject * cycler, runtime.heap.New<CyclerObject>());
  cycler->items = arguments.positional;
  return Value::Of(Kind::kCycler, cycler);
}

Result<Value> Joiner(Runtime& runtime, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("joiner", {"sep"}, 0, arguments));
  FASTKV_ASSIGN_OR_RETURN(JoinerObject * joiner, runtime.heap.New<JoinerObject>());
  joiner->separator = bound[0];
  if (bound[0].IsMissing()) {
    FASTKV_ASSIGN_OR_RETURN(joiner->separator, runtime.heap.NewString(", ", true));
  }
  return Value::Of(Kind::kJoiner, joiner);
}

Result<Value> RaiseException(Runtime& runtime, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("raise_exception", {"message"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text message, ToText(runtime, bound[0]));
  return InvalidArgumentError("the template refuses: " + std::string(message.view()));
}

Result<Value> StrftimeNow(Runtime& runtime, const CallArguments& arguments) {
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("strftime_now", {"format"}, 1, arguments));
  FASTKV_ASSIGN_OR_RETURN(const Text format, AsText(bound[0], "the format of strftime_now()"));
  FASTKV_ASSIGN_OR_RETURN(const std::string text, FormatTime(runtime.now, format.view()));
  return runtime.heap.NewString(text, true);
}

Result<Value> NotBuilt(Runtime&, const CallArguments&) {
  return UnsupportedError("lipsum() is not supported");
}

constexpr GlobalFunction kFunctions[] = {
    {"cycler", Cycler},       {"dict", Dict},
    {"joiner", Joiner},       {"lipsum", NotBuilt},
    {"namespace", Namespace}, {"raise_exception", RaiseException},
    {"range", Range},         {"strftime_now", StrftimeNow},
};

}  // namespace

const GlobalFunction* FindGlobal(std::string_view name) {
  for (const GlobalFunction& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

}  // namespace fastkv::jinja
