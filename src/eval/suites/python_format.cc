#include "eval/suites/python_format.h"

#include <algorithm>

#include "io/quoted.h"

namespace fastkv {

Result<std::string> FormatTemplate(std::string_view format, const FormatFields& fields) {
  std::string filled;
  for (size_t position = 0; position < format.size();) {
    const char c = format[position];
    if (c != '{' && c != '}') {
      const size_t next = std::min(format.find_first_of("{}", position), format.size());
      filled += format.substr(position, next - position);
      position = next;
      continue;
    }
    if (format.substr(position + 1).starts_with(c)) {
      filled += c;
      position += 2;
      continue;
    }
    const size_t close = c == '{' ? format.find('}', position) : format.npos;
    if (close == format.npos) {
      return FormatError("expected {name} or a doubled brace in the prompt template " +
                         Quoted(format));
    }
    const std::string_view name = format.substr(position + 1, close - position - 1);
    const auto field = fields.find(name);
    if (field == fields.end()) {
      return FormatError("the prompt template asks for " + Quoted(name) +
                         ", which the data of this task do not have");
    }
    filled += field->second;
    position = close + 1;
  }
  return filled;
}

Result<int64_t> BytesBehindField(std::string_view format, std::string_view field,
                                 const FormatFields& fields) {
  const std::string reference = "{" + std::string(field) + "}";
  const size_t at = format.rfind(reference);
  if (at == format.npos) return int64_t{0};
  FASTKV_ASSIGN_OR_RETURN(const std::string behind,
                          FormatTemplate(format.substr(at + reference.size()), fields));
  return static_cast<int64_t>(behind.size());
}

}  // namespace fastkv
