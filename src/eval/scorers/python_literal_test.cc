#include "eval/scorers/python_literal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"

namespace fastkv {
namespace {

using Kind = PythonValue::Kind;

PythonValue Parsed(const std::string& literal) {
  auto value = ParsePythonAssignment("X = " + literal, "X");
  EXPECT_TRUE(value.ok()) << literal << ": " << value.status().message();
  return value.ok() ? std::move(value).value() : PythonValue();
}

std::string Text(const std::string& literal) {
  return Parsed("[" + literal + "]").items.at(0).text;
}

TEST(PythonLiteral, ReadsStrings) {
  EXPECT_EQ(Text(R"('a"b')"), "a\"b");
  EXPECT_EQ(Text(R"("a\n\t\\\'\x41\101\u4e00\U0001F642\q")"), "a\n\t\\'AA\u4e00\U0001F642\\q");
  EXPECT_EQ(Text("'a\\\nb'"), "ab");
  EXPECT_EQ(Text("\"\"\"a\"b\n'c\"\"\""), "a\"b\n'c");
  EXPECT_EQ(Text("''"), "");
  EXPECT_EQ(Text(R"(r'a\n\'')"), "a\\n\\'");
  EXPECT_EQ(Text("u'x'"), "x");
  EXPECT_EQ(Text("'a' \"b\" + 'c'  # d\n 'e'"), "abce");
}

TEST(PythonLiteral, ReadsNumbersAndNames) {
  const PythonValue list = Parsed("[1, -2.5, +3., 1e-3, -3.14e+100, True, False, None]");
  ASSERT_EQ(list.items.size(), 8u);
  EXPECT_EQ(list.items[0].number, 1);
  EXPECT_EQ(list.items[1].number, -2.5);
  EXPECT_EQ(list.items[2].number, 3);
  EXPECT_EQ(list.items[3].number, 1e-3);
  EXPECT_EQ(list.items[4].number, -3.14e100);
  EXPECT_EQ(list.items[5].kind, Kind::kBool);
  EXPECT_EQ(list.items[5].number, 1);
  EXPECT_EQ(list.items[7].kind, Kind::kNone);
}

TEST(PythonLiteral, ReadsContainers) {
  const PythonValue value = Parsed("{'a': [1, (2, 3), ()], # x\n 'b': {'c': ('d'),},\n 'a': (4,)}");
  EXPECT_EQ(value.kind, Kind::kDict);
  EXPECT_EQ(value.items.size(), 6u);
  ASSERT_NE(value.Find("a"), nullptr);
  EXPECT_EQ(value.Find("a")->items.at(0).number, 4);  // the last of two
  EXPECT_EQ(value.Find("b")->Find("c")->text, "d");
  EXPECT_EQ(value.Find("z"), nullptr);
  EXPECT_EQ(Parsed("[]").items.size(), 0u);
  EXPECT_EQ(Parsed("{}").kind, Kind::kDict);
}

TEST(PythonLiteral, FindsTheAssignment) {
  const std::string source =
      "from a import b\n\nXY = [1]\n  X = [2]\nX == [3]\n# X = [4]\nX\t= [\n5]\nX = [6]\n";
  EXPECT_EQ(ParsePythonAssignment(source, "X")->items.at(0).number, 5);
  EXPECT_EQ(ParsePythonAssignment(source, "Z").status().code(), StatusCode::kNotFound);
}

TEST(PythonLiteral, RefusesTheRestWithTheLine) {
  for (const char* wrong :
       {"",          "[",      "[1",     "['a",  "[1,,2]", "{'a'}", "{'a':}",        "{'a' 1}",
        "[1 2]",     "[f'x']", "[b'x']", "f(1)", "[x]",    "[1)",   "['\\N{DASH}']", "['\\ud800']",
        "['a' + 1]", "1e999",  "[inf]",  "(,)",  "'''a''"}) {
    const auto value = ParsePythonAssignment(std::string("\n\nX = ") + wrong, "X");
    ASSERT_FALSE(value.ok()) << wrong;
    EXPECT_EQ(value.status().code(), StatusCode::kFormat) << wrong;
    EXPECT_THAT(value.status().message(), testing::HasSubstr("on line 3")) << wrong;
  }
  const std::string deep(limits::kMaxJsonDepth + 1, '[');
  EXPECT_EQ(ParsePythonAssignment("X = " + deep, "X").status().code(), StatusCode::kLimit);
}

}  // namespace
}  // namespace fastkv
