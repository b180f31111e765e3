#include "text/jinja/local_time.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace fastkv::jinja {
namespace {

// Python's own directives replaced, the rest left to C.
std::string ForC(const LocalTime& time, std::string_view format) {
  std::string result;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      result.push_back(format[i]);
      continue;
    }
    ++i;
    if (format[i] == 'f') {
      char digits[16];
      std::snprintf(digits, sizeof(digits), "%06d", time.microsecond);
      result += digits;
    } else if (format[i] != 'z' && format[i] != 'Z') {
      result.push_back('%');
      result.push_back(format[i]);
    }
  }
  return result;
}

}  // namespace

Result<std::string> FormatTime(const LocalTime& time, std::string_view format) {
  constexpr size_t kMaxOutputBytes = 64 << 10;
  const std::chrono::year_month_day date(std::chrono::year(time.year),
                                         std::chrono::month(static_cast<unsigned>(time.month)),
                                         std::chrono::day(static_cast<unsigned>(time.day)));
  const bool in_day = time.hour >= 0 && time.hour < 24 && time.minute >= 0 && time.minute < 60 &&
                      time.second >= 0 && time.second < 60 && time.microsecond >= 0 &&
                      time.microsecond < 1'000'000;
  if (!date.ok() || !in_day || time.year < 1 || time.year > 9999) {
    return InvalidArgumentError("the date given to the template does not exist");
  }
  if (format.find('\0') != std::string_view::npos || format.size() > kMaxOutputBytes) {
    return InvalidArgumentError("strftime_now: the format holds a null character or is too long");
  }
  const std::chrono::sys_days days(date);
  std::tm broken_down = {};
  broken_down.tm_year = time.year - 1900;
  broken_down.tm_mon = time.month - 1;
  broken_down.tm_mday = time.day;
  broken_down.tm_hour = time.hour;
  broken_down.tm_min = time.minute;
  broken_down.tm_sec = time.second;
  broken_down.tm_wday = static_cast<int>(std::chrono::weekday(days).c_encoding());
  broken_down.tm_yday = static_cast<int>(
      (days - std::chrono::sys_days(date.year() / std::chrono::January / 1)).count());
  broken_down.tm_isdst = -1;
  // The mark at the end tells an empty result from one that does not fit.
  const std::string c_format = ForC(time, format) + ".";
  std::string result(kMaxOutputBytes, '\0');
  const size_t size = std::strftime(result.data(), result.size(), c_format.c_str(), &broken_down);
  if (size == 0) {
    return InvalidArgumentError("strftime_now: the result is longer than " +
                                std::to_string(kMaxOutputBytes) + " bytes");
  }
  result.resize(size - 1);
  return result;
}

}  // namespace fastkv::jinja
