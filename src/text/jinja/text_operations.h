// Operations on text that filters, methods and operators share. Marks are kept.
#ifndef FASTKV_TEXT_JINJA_TEXT_OPERATIONS_H_
#define FASTKV_TEXT_JINJA_TEXT_OPERATIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

enum class Side : uint8_t { kLeft, kRight, kBoth };

// Without `characters` removes white space, else any of its code points.
Text Strip(Text text, std::optional<std::string_view> characters, Side side);

enum class CaseChange : uint8_t { kUpper, kLower, kTitle, kCapitalize, kSwap, kFold };
Result<Value> ChangeCase(Runtime& runtime, Text text, CaseChange change);

// `count` < 0: all.
Result<Value> Replace(Runtime& runtime, Text text, Text old, Text with, int64_t count);

// The lines, without their ends unless `keep_ends`.
std::vector<Text> SplitLines(Text text, bool keep_ends);

// `fill` `count` times on each side. `fill` is one code point.
struct Padding {
  int64_t left = 0;
  int64_t right = 0;
};
Result<Value> Pad(Runtime& runtime, Text text, Padding padding, Text fill);

// A text made of parts in turn.
Result<Value> Joined(Runtime& runtime, const std::vector<Text>& parts, Text separator);

// A trusted text that lives for the rendering.
Result<Text> Literal(Runtime& runtime, std::string_view text);

// Errors unless a string.
Result<Text> AsText(const Value& value, std::string_view what);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_TEXT_OPERATIONS_H_
