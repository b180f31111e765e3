// Python's str(), repr() and json.dumps() of values.
//
// Marks: text keeps its own; the brackets, quotes and commas put around the members of lists and
// dictionaries count as untrusted, for they come with data. Numbers and the like are trusted.
#ifndef FASTKV_TEXT_JINJA_REPRESENT_H_
#define FASTKV_TEXT_JINJA_REPRESENT_H_

#include <string>

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

// str(value). Errors: kUnsupported for values whose text in Python is a memory address.
Result<Text> ToText(Runtime& runtime, const Value& value);
// The same, written to `builder`.
Status AppendText(Runtime& runtime, const Value& value, TextBuilder* builder);
// repr(value).
Status AppendRepresentation(Runtime& runtime, const Value& value, TextBuilder* builder);

// Python's shortest text that reads back as the same number: 1.0, 1e-05, 1e+22, inf, nan.
std::string FloatText(double value);
std::string IntegerText(Int128 value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool indented = false;
  Text indent;  // of one level
  Text item_separator;
  Text key_separator;
  bool sort_keys = false;
};

// Errors: kInvalidArgument for what JSON cannot hold.
Status AppendJson(Runtime& runtime, const Value& value, const JsonStyle& style,
                  TextBuilder* builder);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_REPRESENT_H_
