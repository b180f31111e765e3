#include "fastkv/comparison_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MethodComparison Comparison() {
  return {.model = "tiny",
          .machine = "1 core",
          .prompt_tokens = 16384,
          .questions = {{"What is it?", "42"}, {"And these?", "17, 18"}},
          .baseline = {"full context", 12430, 38.2, 32 << 20, {{"42", 1}, {"17, 18", 1}}},
          .method = {"FastKV", 4210, 11.4, 3355443, {{"42\x1b[2J", 1}, {"17, 19", 0.5}}}};
}

TEST(ComparisonTable, LinesUpItsColumns) {
  EXPECT_EQ(ComparisonTable(Comparison(), false),
            "                         full context        FastKV\n"
            "  time to first token          12.4 s        4.21 s   3.0× faster\n"
            "  decoding, per token         38.2 ms       11.4 ms   3.4× faster\n"
            "  KV memory held             32.0 MiB      3.20 MiB   10× smaller\n"
            "  right answers                2 of 2        1 of 2\n"
            "\n"
            "  What is it?\n"
            "    expected      42\n"
            "    full context  42  right\n"
            "    FastKV        42 [2J  right\n"
            "\n"
            "  And these?\n"
            "    expected      17, 18\n"
            "    full context  17, 18  right\n"
            "    FastKV        17, 19  partly right\n");
}

TEST(ComparisonTable, SaysWhereTheMethodLoses) {
  MethodComparison comparison = Comparison();
  comparison.method.first_token_ms = 2 * comparison.baseline.first_token_ms;
  comparison.method.answers[0] = {"", 0};
  const std::string table = ComparisonTable(comparison, false);
  EXPECT_THAT(table, HasSubstr("2.0× slower"));
  EXPECT_THAT(table, HasSubstr("(nothing)  wrong"));
}

TEST(ComparisonTable, JudgesNoAnswerWithoutAnExpectedOne) {
  MethodComparison comparison = Comparison();
  for (ComparedQuestion& question : comparison.questions) question.expected.clear();
  const std::string table = ComparisonTable(comparison, false);
  EXPECT_THAT(table, Not(HasSubstr("right")));
  EXPECT_THAT(table, Not(HasSubstr("expected")));
  EXPECT_THAT(table, HasSubstr("    full context  17, 18\n    FastKV        17, 19\n"));
}

TEST(ComparisonTable, ColoursOnlyWhenAsked) {
  EXPECT_THAT(ComparisonTable(Comparison(), true), HasSubstr("\x1b[32mright\x1b[0m"));
  EXPECT_THAT(ComparisonTable(Comparison(), false), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace fastkv
