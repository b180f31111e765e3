// String literals of Python.
#ifndef FASTKV_EVAL_SCORERS_PYTHON_STRING_H_
#define FASTKV_EVAL_SCORERS_PYTHON_STRING_H_

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fastkv {

// Whether a string literal begins at `position`, prefix letters included.
bool PythonStringBegins(std::string_view source, size_t position);

// The text of the literal that begins at `position`, which is left behind it: single, double and
// triple quotes, the prefixes r and u, and every escape but \N{...}.
// Errors: kFormat for anything else, without a place. REQUIRES: PythonStringBegins.
Result<std::string> ReadPythonString(std::string_view source, size_t& position);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_PYTHON_STRING_H_
