// Filling the prompt templates of public benchmarks, which are Python format strings.
#ifndef FASTKV_EVAL_SUITES_PYTHON_FORMAT_H_
#define FASTKV_EVAL_SUITES_PYTHON_FORMAT_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fastkv {

using FormatFields = std::map<std::string, std::string, std::less<>>;

// template.format(**fields) for fields without conversions: {name} is replaced, {{ and }} stand for
// one brace; braces inside a field's text mean nothing. Errors: kFormat for a brace that stands
// alone and for a name that is not among `fields`. Thread-safe.
Result<std::string> FormatTemplate(std::string_view format, const FormatFields& fields);

// The bytes of FormatTemplate(format, fields) behind the last {field}; 0 where it is not there.
// Errors: as FormatTemplate.
Result<int64_t> BytesBehindField(std::string_view format, std::string_view field,
                                 const FormatFields& fields);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_PYTHON_FORMAT_H_
