#include "io/quoted.h"

#include <cstddef>
#include <nlohmann/json.hpp>

namespace fastkv {

std::string Quoted(std::string_view text) {
  constexpr size_t kMaxShownBytes = 96;
  const bool cut = text.size() > kMaxShownBytes;
  nlohmann::json shown = std::string(text.substr(0, kMaxShownBytes)) + (cut ? "..." : "");
  return shown.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace fastkv
