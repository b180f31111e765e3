#include "eval/python_strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

std::vector<std::string> ValuesIn(std::string_view source) {
  std::vector<std::string> values;
  for (const PythonString& literal : ReadPythonStrings(source)) values.push_back(literal.value);
  return values;
}

TEST(PythonStrings, FindsEveryKindOfLiteral) {
  EXPECT_THAT(ValuesIn("a = 'one' + \"two\" # 'not this'\nb = r'\\n' '''three\n'lines' '''"),
              ElementsAre("one", "two", "\\n", "three\n'lines' "));
  EXPECT_THAT(ValuesIn("name''"), ElementsAre("")) << "a name is no prefix";
  const std::vector<PythonString> format = ReadPythonStrings("x = f'<{self.a}>'");
  ASSERT_EQ(format.size(), 1u);
  EXPECT_TRUE(format[0].is_format);
  EXPECT_EQ(format[0].value, "<{self.a}>");
  EXPECT_EQ(format[0].begin, 4u);
}

TEST(PythonStrings, ResolvesEscapes) {
  EXPECT_THAT(ValuesIn(R"('\n\t\\\'\"\x41\u00e4\q')"), ElementsAre("\n\t\\'\"Aä\\q"));
  EXPECT_THAT(ValuesIn("'a\\\nb'"), ElementsAre("ab"));
}

TEST(PythonStrings, BrokenLiteralsEndTheReading) {
  EXPECT_THAT(ValuesIn("'ok' 'open\n 'x'"), ElementsAre("ok"));
  EXPECT_THAT(ValuesIn("'''open"), IsEmpty());
  EXPECT_THAT(ValuesIn("'\\x4'"), IsEmpty());
  EXPECT_THAT(ValuesIn("'\\"), IsEmpty());
  EXPECT_THAT(ValuesIn("b'bytes' 'x'"), IsEmpty());
  EXPECT_THAT(ValuesIn("'\\ud800'"), IsEmpty());
}

TEST(PythonStrings, FindsWhatIsAssignedToAName) {
  const std::string source =
      "class A:\n    pin_needle = 'wrong'\n    needle: Optional[str] = 'right'\n"
      "def f(self, question=\"what\", needle='later'):\n  folder = os.path.join('data')\n";
  const std::vector<PythonString> strings = ReadPythonStrings(source);
  EXPECT_THAT(AssignedPythonString(source, strings, "needle"), Optional(std::string("right")));
  EXPECT_THAT(AssignedPythonString(source, strings, "question"), Optional(std::string("what")));
  EXPECT_EQ(AssignedPythonString(source, strings, "folder"), std::nullopt);
}

}  // namespace
}  // namespace fastkv
