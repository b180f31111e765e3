#include "fastkv/message_assembler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fastkv {
namespace {

std::vector<std::string> Messages(const std::vector<std::string>& lines) {
  MessageAssembler assembler;
  std::vector<std::string> messages;
  for (const std::string& line : lines) {
    if (const auto message = assembler.Take(line)) {
      EXPECT_FALSE(assembler.open());
      messages.push_back(*message);
    } else {
      EXPECT_TRUE(assembler.open());
    }
  }
  if (const auto rest = assembler.TakeRest()) messages.push_back("rest:" + *rest);
  return messages;
}

using Lines = std::vector<std::string>;

TEST(MessageAssemblerTest, OneLineIsOneMessage) {
  EXPECT_EQ(Messages({"a", "", "b c "}), (Lines{"a", "", "b c "}));
}

TEST(MessageAssemblerTest, ABackslashGoesOn) {
  EXPECT_EQ(Messages({"a\\", "b\\", "", "c"}), (Lines{"a\nb\n", "c"}));
  EXPECT_EQ(Messages({"a\\", "\"\"\"b"}), (Lines{"a\n\"\"\"b"}));
  EXPECT_EQ(Messages({"a\\"}), (Lines{"rest:a"}));
}

TEST(MessageAssemblerTest, QuotationMarksHoldABlock) {
  EXPECT_EQ(Messages({"\"\"\"", "a\\", "", " b", "\"\"\"", "c"}), (Lines{"a\\\n\n b", "c"}));
  EXPECT_EQ(Messages({"\"\"\"a", "b\"\"\"", "c"}), (Lines{"a\nb", "c"}));
  EXPECT_EQ(Messages({"\"\"\"one line\"\"\""}), (Lines{"one line"}));
  EXPECT_EQ(Messages({"\"\"\"\"\"\""}), (Lines{""}));
  EXPECT_EQ(Messages({"\"\"\"", "\"\"\""}), (Lines{""}));
  EXPECT_EQ(Messages({"\"\"\"a", "b"}), (Lines{"rest:a\nb"}));
  EXPECT_EQ(Messages({"x \"\"\"a\"\"\""}), (Lines{"x \"\"\"a\"\"\""}));
}

TEST(MessageAssemblerTest, AClearedMessageIsGone) {
  MessageAssembler assembler;
  EXPECT_FALSE(assembler.Take("\"\"\"a").has_value());
  assembler.Clear();
  EXPECT_FALSE(assembler.open());
  EXPECT_EQ(assembler.Take("b"), "b");
}

}  // namespace
}  // namespace fastkv
