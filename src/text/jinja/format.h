// Python's two ways of filling in texts: `'%s' % x` and `'{}'.format(x)`.
#ifndef FASTKV_TEXT_JINJA_FORMAT_H_
#define FASTKV_TEXT_JINJA_FORMAT_H_

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

// `format % (arguments)`: a tuple gives one argument a directive, a dictionary those with names.
// Errors: kInvalidArgument where Python raises.
Result<Value> FormatPercent(Runtime& runtime, const Text& format, const Value& arguments);

// format.format(...): fields that are empty, numbers or names, with `!r` or `!s`.
// Errors: kUnsupported for attributes, items and format specifications in a field.
Result<Value> FormatBraces(Runtime& runtime, const Text& format, const CallArguments& arguments);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_FORMAT_H_
