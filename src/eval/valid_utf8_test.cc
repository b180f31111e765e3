#include "eval/valid_utf8.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

TEST(ValidUtf8, BrokenBytesAreReplaced) {
  EXPECT_EQ(ValidUtf8("plain"), "plain");
  EXPECT_EQ(ValidUtf8("a\xc3"), "a\xef\xbf\xbd");
  EXPECT_EQ(ValidUtf8("\xff\xfeä"), "\xef\xbf\xbd\xef\xbf\xbdä");
}

}  // namespace
}  // namespace fastkv
