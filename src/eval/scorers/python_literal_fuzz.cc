#include <cstddef>
#include <cstdint>
#include <string_view>

#include "eval/scorers/python_literal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  size_t position = 0;
  if (!fastkv::ParsePythonLiteral(source, position).ok()) return 0;
  if (position > source.size()) __builtin_trap();
  return 0;
}
