#include "text/jinja/local_time.h"

#include <gtest/gtest.h>

namespace fastkv::jinja {
namespace {

TEST(LocalTimeTest, FormatsAsPythonDoes) {
  LocalTime time;
  time.year = 2024;
  time.month = 2;
  time.day = 29;
  time.hour = 13;
  time.minute = 5;
  time.second = 9;
  time.microsecond = 42;
  EXPECT_EQ(*FormatTime(time, "%d %b %Y"), "29 Feb 2024");
  EXPECT_EQ(*FormatTime(time, "%A %a %B %j %U %w %y %I:%M:%S %p"),
            "Thursday Thu February 060 08 4 24 01:05:09 PM");
  EXPECT_EQ(*FormatTime(time, "%f|%z|%Z|%%"), "000042|||%");
  EXPECT_EQ(*FormatTime(time, "%-d %e %H"), "29 29 13");
  EXPECT_EQ(*FormatTime(time, ""), "");
  EXPECT_EQ(*FormatTime(time, "日 %Y"), "日 2024");
}

TEST(LocalTimeTest, RefusesWhatCannotBe) {
  LocalTime time;
  time.year = 2023;
  time.month = 2;
  time.day = 29;
  EXPECT_EQ(FormatTime(time, "%Y").status().code(), StatusCode::kInvalidArgument);
  time.day = 28;
  EXPECT_TRUE(FormatTime(time, "%Y").ok());
  time.hour = 24;
  EXPECT_FALSE(FormatTime(time, "%Y").ok());
  time.hour = 0;
  EXPECT_FALSE(FormatTime(time, std::string_view("a\0b", 3)).ok());
}

}  // namespace
}  // namespace fastkv::jinja
