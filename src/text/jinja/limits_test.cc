// Hostile templates end in an error of their own, soon and without using much memory.
#include <gtest/gtest.h>

#include <string>

#include "text/jinja/render_for_test.h"

namespace fastkv::jinja {
namespace {

std::string Repeated(const std::string& text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

StatusCode CodeOf(const std::string& source, const Json& variables = Json::object()) {
  const Result<std::string> text = RenderText(source, variables);
  return text.ok() ? StatusCode::kOk : text.status().code();
}

TEST(TemplateLimitsTest, NestingBeyondTheDepthLimitIsRefused) {
  const size_t many = 10'000;
  EXPECT_EQ(CodeOf("{{ " + Repeated("(", many) + "1" + Repeated(")", many) + " }}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("(", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("[", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("{1:", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("a(", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("a[", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("not ", many) + "1 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("-", many) + "1 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ " + Repeated("1 if 1 else ", many) + "1 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set " + Repeated("(", many) + "a" + Repeated(")", many) + " = 1 %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf(Repeated("{% if 1 %}", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(Repeated("{% for a in b %}", many)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(Repeated("{% macro a() %}", many)), StatusCode::kLimit);
}

TEST(TemplateLimitsTest, LongChainsAreNotNesting) {
  EXPECT_EQ(*RenderText("{{ 1" + Repeated(" + 1", 5000) + " }}"), "5001");
  EXPECT_EQ(*RenderText("{{ 'a'" + Repeated("|trim", 5000) + " }}"), "a");
  EXPECT_EQ(*RenderText("{{ 1" + Repeated(" and 1", 5000) + " }}"), "1");
  EXPECT_EQ(*RenderText("{{ 'a'" + Repeated(" ~ 'b'", 3) + " }}"), "abbb");
  EXPECT_EQ(*RenderText("{% if 0 %}" + Repeated("{% elif 0 %}", 5000) + "{% else %}x{% endif %}"),
            "x");
}

TEST(TemplateLimitsTest, DepthWithinTheLimitWorks) {
  EXPECT_EQ(*RenderText("{{ " + Repeated("(", 50) + "7" + Repeated(")", 50) + " }}"), "7");
  EXPECT_EQ(*RenderText(Repeated("{% if 1 %}", 50) + "x" + Repeated("{% endif %}", 50)), "x");
  EXPECT_EQ(*RenderText("{% macro m(n) %}{% if n %}({{ m(n - 1) }}){% endif %}{% endmacro %}"
                        "{{ m(30)|length }}"),
            "60");
}

TEST(TemplateLimitsTest, RecursionWithoutEndIsAnError) {
  EXPECT_EQ(CodeOf("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}"
                   "{{ a() }}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}"
                   "{{ m() }}"),
            StatusCode::kLimit);
  // The deepest stack that all limits together allow.
  const std::string deep = Repeated("{% if 1 %}", 25) + "{{ " + Repeated("[", 25) + "m()" +
                           Repeated("]", 25) + " }}" + Repeated("{% endif %}", 25);
  EXPECT_EQ(CodeOf("{% macro m() %}" + deep + "{% endmacro %}{{ m() }}"), StatusCode::kLimit);
}

TEST(TemplateLimitsTest, LoopsEnd) {
  EXPECT_EQ(CodeOf("{{ range(1000000000)|list }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}"
                   "{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% for a in range(9000) %}{{ range(9000)|list|length }}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% for a in range(99999) if range(99999)|select('odd')|list %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ range(0, 9223372036854775807, 9223372036854775807)|list|length }}"),
            StatusCode::kOk);
  EXPECT_EQ(CodeOf("{{ range(-9223372036854775807, 9223372036854775807)|length }}"),
            StatusCode::kLimit);
}

TEST(TemplateLimitsTest, MemoryIsBounded) {
  EXPECT_EQ(CodeOf("{{ 'x' * 10000000000 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ ['x'] * 10000000000 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ 'x' * 9223372036854775807 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set ns = namespace(s='x') %}{% for i in range(99) %}"
                   "{% set ns.s = ns.s + ns.s %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set ns = namespace(s=[1]) %}{% for i in range(99) %}"
                   "{% set ns.s = ns.s + ns.s %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set ns = namespace(s='xx') %}{% for i in range(99) %}"
                   "{% set ns.s = ns.s|replace('x', ns.s) %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ 'a'|center(9999999999) }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ 'a'.zfill(9999999999) }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ '%9999999999d' % 1 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ '%.9999999999f' % 1 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ [1]|tojson(indent=9999999999) }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ 'a\nb'|indent(9999999999) }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ [1]|batch(9999999999, 'x')|list }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ [1]|slice(9999999999)|list }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ strftime_now('%999999999d') }}"), StatusCode::kInvalidArgument);
}

TEST(TemplateLimitsTest, SearchingIsBounded) {
  // Each comparison looks at a megabyte.
  EXPECT_EQ(CodeOf("{% set a = 'x' * 1000000 %}{% set b = 'x' * 1000000 %}"
                   "{% for i in range(99999) %}{% if a == b %}{% endif %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set a = 'x' * 1000000 %}{% for i in range(99999) %}"
                   "{% if 'y' in a %}{% endif %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set a = 'x' * 1000000 %}{% for i in range(99999) %}"
                   "{% set n = a|length %}{% endfor %}"),
            StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ ('x' * 1000000).strip('y' * 1000000 ~ 'x') }}"), StatusCode::kLimit);
}

TEST(TemplateLimitsTest, OutputIsBounded) {
  EXPECT_EQ(CodeOf("{% for i in range(99999) %}{{ 'x' * 100 }}{% endfor %}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% for i in range(9999) %}" + Repeated("0123456789", 100) + "{% endfor %}"),
            StatusCode::kLimit);
  // Four times the input fits on top.
  const Json variables = {{"s", std::string(1 << 20, 'x')}};
  EXPECT_EQ(RenderText("{{ s }}{{ s }}{{ s }}{{ s }}", variables)->size(), size_t{4} << 20);
  EXPECT_EQ(CodeOf("{{ s }}{{ s }}{{ s }}{{ s }}{{ s }}{{ s }}", variables), StatusCode::kLimit);
}

TEST(TemplateLimitsTest, DeepValuesAreNotFollowedWithoutEnd) {
  const std::string nest =
      "{% set ns = namespace(s=[]) %}{% for i in range(5000) %}{% set ns.s = [ns.s] %}{% endfor %}";
  EXPECT_EQ(CodeOf(nest), StatusCode::kOk);
  EXPECT_EQ(CodeOf(nest + "{{ ns.s }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(nest + "{{ ns.s|tojson }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(nest + "{{ ns.s == [ns.s] }}"), StatusCode::kLimit);
  const std::string tuples =
      "{% set ns = namespace(s=()) %}{% for i in range(5000) %}{% set ns.s = (ns.s,) %}{% endfor "
      "%}";
  EXPECT_EQ(CodeOf(tuples + "{{ {ns.s: 1} }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(tuples + "{{ ns.s < (ns.s,) }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}"), StatusCode::kLimit);
  const std::string lazy =
      "{% set ns = namespace(s=[1]) %}{% for i in range(5000) %}"
      "{% set ns.s = ns.s|map('string') %}{% endfor %}";
  EXPECT_EQ(CodeOf(lazy + "{{ ns.s|list }}"), StatusCode::kLimit);
  const std::string methods =
      "{% set ns = namespace(s='') %}{% for i in range(5000) %}"
      "{% set ns.s = ns.s|reverse|string|attr('upper') %}{% endfor %}";
  EXPECT_NE(CodeOf(methods + "{{ ns.s == ns.s }}"), StatusCode::kOk);
}

TEST(TemplateLimitsTest, ArithmeticDoesNotWrap) {
  EXPECT_EQ(CodeOf("{{ 1 % 0 }}"), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf("{{ 1.5 % 0 }}"), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf("{{ 1 // 0 }}"), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf("{{ 2 ** 1000 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ 7 ** 7 ** 7 ** 7 }}"), StatusCode::kLimit);
  EXPECT_EQ(*RenderText("{{ 9223372036854775807 + 1 }}"), "9223372036854775808");
  EXPECT_EQ(CodeOf("{{ 99999999999999999999 * 99999999999999999999 }}"), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ 999999999999999999999999999999999999999999 }}"), StatusCode::kFormat);
  EXPECT_EQ(CodeOf("{{ 'abc'[::0] }}"), StatusCode::kInvalidArgument);
  EXPECT_EQ(*RenderText("{{ 'abc'[99999999999999999999:] }}|{{ 'abc'[:-99999999999999999999] }}|"
                        "{{ 'abc'[::99999999999999999999] }}|{{ 'abc'[::-99999999999999999999] }}"),
            "||a|c");
  EXPECT_EQ(*RenderText("{{ [1][99999999999999999999] is defined }}"), "False");
}

TEST(TemplateLimitsTest, SizeOfTheTemplateIsBounded) {
  EXPECT_EQ(CodeOf(std::string(2 << 20, 'x')), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(Repeated("{{a}}", 100'000)), StatusCode::kLimit);
  EXPECT_EQ(CodeOf("{{ [" + Repeated("1,", 100'000) + "] }}"), StatusCode::kLimit);
}

TEST(TemplateLimitsTest, ManyNamesInManyBranchesParseInTime) {
  std::string source;
  for (int i = 0; i < 8000; ++i) source += "{% set v" + std::to_string(i) + " = 1 %}";
  for (int i = 0; i < 8000; ++i)
    source += "{% if v" + std::to_string(i) + " %}{% set w = 1 %}{% endif %}";
  EXPECT_EQ(CodeOf(source + "{{ w }}"), StatusCode::kOk);
}

}  // namespace
}  // namespace fastkv::jinja
