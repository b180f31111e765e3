// jinja2's filters, and `tojson` as Transformers defines it.
#ifndef FASTKV_TEXT_JINJA_FILTERS_H_
#define FASTKV_TEXT_JINJA_FILTERS_H_

#include <span>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

struct Filter {
  std::string_view name;
  // nullptr: jinja2 has the filter, the interpreter does not.
  Result<Value> (*call)(Runtime& runtime, const Value& value, const CallArguments& arguments);
};

// nullptr for a name jinja2 does not know either.
const Filter* FindFilter(std::string_view name);

// Errors: kUnsupported for unknown filters and those not built; kInvalidArgument as in Python.
Result<Value> CallFilter(Runtime& runtime, std::string_view name, const Value& value,
                         const CallArguments& arguments);

// The tables that FindFilter looks through.
std::span<const Filter> TextFilters();
std::span<const Filter> NumberFilters();
std::span<const Filter> SequenceFilters();
std::span<const Filter> LazyFilters();

// Lower case for strings when `case_sensitive` is off, else the value itself: what sorting filters
// compare.
Result<Value> SortKey(Runtime& runtime, const Value& value, bool case_sensitive);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_FILTERS_H_
