#include "eval/python_strings.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "eval/scorers/python_string.h"
#include "eval/scorers/python_text.h"

namespace fastkv {
namespace {

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// The f of an f-string, which is read as the string behind it.
bool IsFormatPrefix(std::string_view source, size_t position) {
  return (source[position] == 'f' || source[position] == 'F') && position + 1 < source.size() &&
         PythonStringBegins(source, position + 1);
}

// The name that the text before a literal assigns to: of "x, needle: str = " it is needle.
std::string_view AssignedName(std::string_view before) {
  before = StripWhiteSpace(before);
  if (before.empty() || before.back() != '=') return {};
  before.remove_suffix(1);
  const size_t begin = before.find_last_of("\n,(");
  if (begin != before.npos) before.remove_prefix(begin + 1);
  return StripWhiteSpace(before.substr(0, before.find(':')));
}

}  // namespace

std::vector<PythonString> ReadPythonStrings(std::string_view source) {
  std::vector<PythonString> strings;
  for (size_t at = 0; at < source.size();) {
    if (source[at] == '#') {
      at = std::min(source.find('\n', at), source.size());
    } else if (PythonStringBegins(source, at)) {
      PythonString literal{.begin = at, .is_format = IsFormatPrefix(source, at), .value = {}};
      if (literal.is_format) ++at;
      Result<std::string> value = ReadPythonString(source, at);
      if (!value.ok()) break;
      literal.value = std::move(value).value();
      strings.push_back(std::move(literal));
    } else if (IsNameCharacter(source[at])) {
      // The end of a name is no prefix.
      while (at < source.size() && IsNameCharacter(source[at])) ++at;
    } else {
      ++at;
    }
  }
  return strings;
}

std::optional<std::string> AssignedPythonString(std::string_view source,
                                                const std::vector<PythonString>& strings,
                                                std::string_view name) {
  for (const PythonString& literal : strings) {
    if (AssignedName(source.substr(0, literal.begin)) == name) return literal.value;
  }
  return std::nullopt;
}

}  // namespace fastkv
