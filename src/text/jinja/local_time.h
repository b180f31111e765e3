// The time a template may ask for, and how it is written.
#ifndef FASTKV_TEXT_JINJA_LOCAL_TIME_H_
#define FASTKV_TEXT_JINJA_LOCAL_TIME_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace fastkv::jinja {

// A point in time as a clock on the wall shows it, without a time zone.
struct LocalTime {
  int year = 1970;
  int month = 1;  // 1 to 12
  int day = 1;    // 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int microsecond = 0;
};

// C strftime in the C locale, as Python's datetime offers it: `%f` is microseconds, `%z` and `%Z`
// are empty. Errors: kInvalidArgument for a date that does not exist or an output beyond 64 KiB.
Result<std::string> FormatTime(const LocalTime& time, std::string_view format);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_LOCAL_TIME_H_
