#include "text/unicode_case.h"

#include "text/jinja/unicode.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3;

}  // namespace

std::string FullLowerCase(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    if (code_point == kCapitalSigma) {
      AppendUtf8(jinja::LowerSigma(text, position), lower);
    } else {
      jinja::AppendLower(code_point, &lower);
    }
    position += length_bytes;
  }
  return lower;
}

std::string FullUpperCase(std::string_view text) {
  std::string upper;
  upper.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    jinja::AppendUpper(code_point, &upper);
    position += length_bytes;
  }
  return upper;
}

}  // namespace fastkv
