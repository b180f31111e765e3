#include "eval/human_format.h"

#include <fmt/format.h>

#include <cmath>

namespace fastkv {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Three significant digits, no exponent.
std::string ThreeDigits(double value) {
  const double size = std::fabs(value);
  return fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

// Length in bytes of the valid UTF-8 sequence at the front of `text`, 0 where there is none.
size_t ValidUtf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool is_surrogate = lead == 0xed && second >= 0xa0;
  const bool is_too_large = lead == 0xf4 && second >= 0x90;
  return is_overlong || is_surrogate || is_too_large ? 0 : length;
}

}  // namespace

std::string HumanCount(int64_t count) {
  std::string digits = std::to_string(count);
  const int64_t first_digit = count < 0 ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > first_digit; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string HumanBytes(int64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1023.5 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return ThreeDigits(value) + " " + kUnits[unit];
}

std::string HumanDuration(double duration_ms) {
  if (duration_ms < 999.5) return ThreeDigits(duration_ms) + " ms";
  if (duration_ms < 59'950) return ThreeDigits(duration_ms / 1000) + " s";
  const auto seconds = static_cast<int64_t>(std::llround(duration_ms / 1000));
  return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
}

std::string HumanTimes(double factor) {
  return fmt::format("{:.{}f}×", factor, factor < 9.95 ? 1 : 0);
}

std::string HumanPercent(double share) {
  const double percent = 100 * share;
  const bool is_small = percent > 0 && percent < 0.95;
  return fmt::format("{:.{}f} %", percent, is_small ? 1 : 0);
}

std::string HumanChange(double before, double after, std::string_view better,
                        std::string_view worse) {
  if (before <= 0 || after <= 0) return {};
  return after <= before ? fmt::format("{} {}", HumanTimes(before / after), better)
                         : fmt::format("{} {}", HumanTimes(after / before), worse);
}

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const size_t length = ValidUtf8Length(text);
    const unsigned char c = static_cast<unsigned char>(text[0]);
    const bool is_control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
    if (length == 0 || is_control) {
      escaped += kReplacement;
    } else if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '"') {
      escaped += "&quot;";
    } else if (c == '\'') {
      escaped += "&#39;";
    } else {
      escaped += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

}  // namespace fastkv
