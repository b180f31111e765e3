#include "text/jinja/filters.h"

#include "text/jinja/text_operations.h"

namespace fastkv::jinja {
namespace {

// Filters for HTML, chance and debugging, which no chat template uses.
constexpr Filter kNotBuilt[] = {
    {"e", nullptr},           {"escape", nullptr},    {"filesizeformat", nullptr},
    {"forceescape", nullptr}, {"pprint", nullptr},    {"random", nullptr},
    {"striptags", nullptr},   {"urlencode", nullptr}, {"urlize", nullptr},
    {"wordwrap", nullptr},    {"xmlattr", nullptr},
};

}  // namespace

const Filter* FindFilter(std::string_view name) {
  for (const std::span<const Filter> table : {TextFilters(), NumberFilters(), SequenceFilters(),
                                              LazyFilters(), std::span<const Filter>(kNotBuilt)}) {
    for (const Filter& filter : table) {
      if (filter.name == name) return &filter;
    }
  }
  return nullptr;
}

Result<Value> CallFilter(Runtime& runtime, std::string_view name, const Value& value,
                         const CallArguments& arguments) {
  const Filter* filter = FindFilter(name);
  if (filter == nullptr) return UnsupportedError("unknown filter '" + std::string(name) + "'");
  if (filter->call == nullptr) {
    return UnsupportedError("the filter '" + std::string(name) + "' is not supported");
  }
  return filter->call(runtime, value, arguments);
}

Result<Value> SortKey(Runtime& runtime, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.IsString()) return value;
  return ChangeCase(runtime, value.text(), CaseChange::kLower);
}

}  // namespace fastkv::jinja
