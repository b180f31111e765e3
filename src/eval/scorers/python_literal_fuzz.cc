// Python literals: a literal ends inside its source, and what is wrong is told in one line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "eval/scorers/python_literal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  size_t position = 0;
  const auto value = fastkv::ParsePythonLiteral(source, position);
  if (value.ok()) {
    FASTKV_CHECK_LE(position, size);
  } else {
    FASTKV_CHECK(value.status().message().find('\n') == std::string::npos);
  }
  return 0;
}
