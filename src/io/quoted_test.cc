#include "io/quoted.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

TEST(Quoted, IsOneShortValidLine) {
  EXPECT_EQ(Quoted("a b"), "\"a b\"");
  EXPECT_EQ(Quoted("a\n\"\\"), "\"a\\n\\\"\\\\\"");
  EXPECT_EQ(Quoted(std::string_view("\0", 1)), "\"\\u0000\"");
  EXPECT_EQ(Quoted("\xff"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(Quoted(std::string(96, 'x')), "\"" + std::string(96, 'x') + "\"");
  EXPECT_EQ(Quoted(std::string(97, 'x')), "\"" + std::string(96, 'x') + "...\"");
}

}  // namespace
}  // namespace fastkv
