// String literals of a Python source. Published benchmarks keep prompts and needles in their
// scripts; they are read from the user's copy, never compiled in.
#ifndef FASTKV_EVAL_PYTHON_STRINGS_H_
#define FASTKV_EVAL_PYTHON_STRINGS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fastkv {

struct PythonString {
  size_t begin = 0;        // of the literal in the source, prefix included
  bool is_format = false;  // an f-string; its {fields} stand in the value as written
  std::string value;       // escapes resolved
};

// All literals in text order, those in comments left out. A literal that does not end is dropped
// with what follows it.
std::vector<PythonString> ReadPythonStrings(std::string_view source);

// The first literal that is assigned to `name`: as a variable, a keyword argument or a default,
// with or without an annotation.
std::optional<std::string> AssignedPythonString(std::string_view source,
                                                const std::vector<PythonString>& strings,
                                                std::string_view name);

}  // namespace fastkv

#endif  // FASTKV_EVAL_PYTHON_STRINGS_H_
