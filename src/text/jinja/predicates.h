// jinja2's tests: what stands after `is`.
#ifndef FASTKV_TEXT_JINJA_PREDICATES_H_
#define FASTKV_TEXT_JINJA_PREDICATES_H_

#include <string_view>

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

struct Predicate {
  std::string_view name;
  size_t arguments = 0;  // how many it takes beside the value
  Result<bool> (*call)(Runtime& runtime, const Value& value, const Value& argument);
};

// nullptr for a name jinja2 does not know either.
const Predicate* FindPredicate(std::string_view name);

// Errors: kUnsupported for unknown tests; kInvalidArgument as in Python.
Result<bool> CallPredicate(Runtime& runtime, std::string_view name, const Value& value,
                           const CallArguments& arguments);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_PREDICATES_H_
