#include "eval/valid_utf8.h"

#include <optional>

#include "text/unicode_utf8.h"

namespace fastkv {

std::string ValidUtf8(std::string_view text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string valid;
  while (const std::optional<size_t> at = FindInvalidUtf8(text)) {
    valid += text.substr(0, *at);
    valid += kReplacement;
    text.remove_prefix(*at + 1);
  }
  return valid.append(text);
}

}  // namespace fastkv
