// Literals of Python source files: the form in which jieba ships its tables and InfiniteBench its
// prompts. Nothing is evaluated but the joining of strings.
#ifndef FASTKV_EVAL_SCORERS_PYTHON_LITERAL_H_
#define FASTKV_EVAL_SCORERS_PYTHON_LITERAL_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

struct PythonValue {
  enum class Kind { kNone, kBool, kNumber, kString, kList, kDict };

  Kind kind = Kind::kNone;
  double number = 0;  // of kNumber; 0 or 1 of kBool
  std::string text;   // of kString, UTF-8
  // The elements of a list or tuple; the keys and values of a dictionary in turn, in the order
  // written, repeated keys included.
  std::vector<PythonValue> items;

  // The value of the last of the entries with this key, which is the one that Python keeps, or
  // nullptr. REQUIRES: kind == kDict.
  const PythonValue* Find(std::string_view key) const;
};

// The value that the module-level statement `name = literal` in `source` assigns. Known are strings
// in every form but bytes and f-strings, joined by `+` or by standing side by side, numbers, None,
// True, False, lists, tuples and dictionaries.
// Errors: kNotFound without such a statement; kFormat with the line for anything else; kLimit for
// nesting beyond limits::kMaxJsonDepth. Thread-safe.
Result<PythonValue> ParsePythonAssignment(std::string_view source, std::string_view name);

// The literal that begins at `position`; `position` is left behind it. Errors: as above.
Result<PythonValue> ParsePythonLiteral(std::string_view source, size_t& position);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_PYTHON_LITERAL_H_
