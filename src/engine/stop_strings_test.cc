#include "engine/stop_strings.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

// Feeds `text` in pieces of `step` bytes and returns all that was shown.
std::string Stream(StopStrings& filter, const std::string& text, size_t step) {
  std::string shown;
  for (size_t i = 0; i < text.size() && !filter.stopped(); i += step) {
    shown += filter.Push(text.substr(i, step));
  }
  return filter.stopped() ? shown : shown + filter.Finish();
}

TEST(StopStringsTest, EndsAtTheFirstStopStringWhateverThePieces) {
  for (size_t step = 1; step < 12; ++step) {
    StopStrings filter({"END", "\n\n"});
    EXPECT_EQ(Stream(filter, "one EN two\n three\n\nfour END", step), "one EN two\n three") << step;
    EXPECT_TRUE(filter.stopped());
  }
}

TEST(StopStringsTest, GivesBackAHeldBeginningWhenTheTextEnds) {
  for (size_t step = 1; step < 8; ++step) {
    StopStrings filter({"ababc"});
    EXPECT_EQ(Stream(filter, "xabab", step), "xabab") << step;
    EXPECT_FALSE(filter.stopped());
  }
}

TEST(StopStringsTest, NeverShowsTheBeginningOfAStopString) {
  StopStrings filter({"stop"});
  EXPECT_EQ(filter.Push("a st"), "a ");
  EXPECT_EQ(filter.Push("o"), "");
  EXPECT_EQ(filter.Push("p here"), "");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.Push("more"), "");
}

TEST(StopStringsTest, WithoutStopStringsEverythingIsShownAtOnce) {
  StopStrings filter({""});
  EXPECT_EQ(filter.Push("text"), "text");
}

}  // namespace
}  // namespace fastkv
