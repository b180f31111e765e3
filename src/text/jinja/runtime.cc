#include "text/jinja/runtime.h"

namespace fastkv::jinja {

Status BindArguments(std::string_view callee, std::span<const std::string_view> names,
                     size_t required, const CallArguments& arguments, std::span<Value> bound) {
  const std::string name(callee);
  if (arguments.positional.size() > names.size()) {
    return TypeError(name + "() takes at most " + std::to_string(names.size()) +
                     " arguments, got " + std::to_string(arguments.positional.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = arguments.positional[i];
  for (const auto& [keyword, value] : arguments.keywords) {
    size_t i = 0;
    while (i < names.size() && names[i] != keyword) ++i;
    if (i == names.size()) {
      return TypeError(name + "() got an unexpected keyword argument '" + keyword + "'");
    }
    if (!bound[i].IsMissing()) {
      return TypeError(name + "() got two values for the argument '" + keyword + "'");
    }
    bound[i] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound[i].IsMissing()) {
      return TypeError(name + "() misses its argument '" + std::string(names[i]) + "'");
    }
  }
  return OkStatus();
}

Status NoArguments(std::string_view callee, const CallArguments& arguments) {
  if (arguments.positional.empty() && arguments.keywords.empty()) return OkStatus();
  return TypeError(std::string(callee) + "() takes no arguments");
}

Result<int64_t> ToIndex(const Value& value, std::string_view what) {
  if (value.IsUndefined()) return UndefinedError(value);
  if (!value.IsIntegral()) {
    return TypeError(std::string(what) + " must be an integer, not " +
                     std::string(TypeName(value)));
  }
  const Int128 number = value.integer();
  if (number > INT64_MAX || number < INT64_MIN) {
    return InvalidArgumentError(std::string(what) + " is too large");
  }
  return static_cast<int64_t>(number);
}

Status TypeError(std::string message) { return InvalidArgumentError(std::move(message)); }

}  // namespace fastkv::jinja
