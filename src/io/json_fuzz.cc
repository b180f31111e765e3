// JSON texts: what parses must print and parse again to the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "io/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = fastkv::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!value.ok()) {
    FASTKV_CHECK(value.status().message().find('\n') == std::string::npos);
    return 0;
  }
  const std::string text = fastkv::DumpJson(*value);
  const auto again = fastkv::ParseJson(text);
  FASTKV_CHECK(again.ok());
  FASTKV_CHECK(fastkv::DumpJson(*again) == text);
  const fastkv::Json copy = *value;
  FASTKV_CHECK(copy == *value);
  return 0;
}
