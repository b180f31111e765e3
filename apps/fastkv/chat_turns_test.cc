#include "fastkv/chat_turns.h"

#include <gtest/gtest.h>

#include <string>

namespace fastkv {
namespace {

// What stands behind the answer in a rendering that begins with "ask:".
std::string Behind(const std::string& rendering, const std::string& answer) {
  const size_t end = EndOfAnswer(rendering, 4, answer);
  return end == std::string::npos ? "none" : rendering.substr(end);
}

TEST(EndOfAnswerTest, FindsTheAnswerAsItWasWritten) {
  EXPECT_EQ(Behind("ask:yes<end>", "yes"), "<end>");
  EXPECT_EQ(Behind("ask: yes \n<end>", " yes \n"), "<end>");
  EXPECT_EQ(Behind("ask:<end>", ""), "<end>");
  EXPECT_EQ(Behind("ask:yes", "yes"), "");
}

TEST(EndOfAnswerTest, AllowsForTrimming) {
  EXPECT_EQ(Behind("ask:yes<end>", " yes\n"), "<end>");
  // White space of the template itself before the answer, and what it left of the answer's own.
  EXPECT_EQ(Behind("ask: yes<end>", "yes"), "<end>");
  EXPECT_EQ(Behind("ask:  yes<end>", " yes"), "<end>");
  EXPECT_EQ(Behind("ask:yes\n<end>", " yes\n"), "<end>");
  EXPECT_EQ(Behind("ask:yes\n<end>", "yes"), "\n<end>");
  EXPECT_EQ(Behind("ask:<end>", " \n"), "<end>");
  // U+3000, U+00A0 and U+001C are white space to the templates' language.
  EXPECT_EQ(Behind("ask:yes<end>", "\u3000yes\u00a0\x1c"), "<end>");
}

TEST(EndOfAnswerTest, SeesThatSomethingElseStandsThere) {
  EXPECT_EQ(Behind("ask:no<end>", "yes"), "none");
  EXPECT_EQ(Behind("ask:ye", "yes"), "none");
  EXPECT_EQ(Behind("ask:", "yes"), "none");
  EXPECT_EQ(Behind("ask: ", "yes"), "none");
  EXPECT_EQ(Behind("ask:ye s<end>", "yes"), "none");
}

}  // namespace
}  // namespace fastkv
