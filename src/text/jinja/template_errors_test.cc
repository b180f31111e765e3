// What goes wrong is named, with its line and the right kind.
#include <gtest/gtest.h>

#include <string>

#include "text/jinja/render_for_test.h"

namespace fastkv::jinja {
namespace {

struct ErrorCase {
  std::string source;
  StatusCode code;
  std::string message;  // a part of it
};

TEST(TemplateErrorsTest, KindLineAndName) {
  const ErrorCase cases[] = {
      {"a\n{{ x|nope }}", StatusCode::kUnsupported, "line 2: unknown filter 'nope'"},
      {"a\n\n{{ x is nope }}", StatusCode::kUnsupported, "line 3: unknown test 'nope'"},
      {"{% if 1 %}\n{{ x|nope }}{% endif %}", StatusCode::kUnsupported,
       "line 2: unknown filter 'nope'"},
      {"\n{% nope %}", StatusCode::kUnsupported, "line 2: unknown tag {% nope %}"},
      {"\n{% include 'x' %}", StatusCode::kUnsupported, "line 2: the tag {% include %}"},
      {"{% import 'x' as y %}", StatusCode::kUnsupported, "{% import %}"},
      {"{% from 'x' import y %}", StatusCode::kUnsupported, "{% from %}"},
      {"{% extends 'x' %}", StatusCode::kUnsupported, "{% extends %}"},
      {"{% block x %}{% endblock %}", StatusCode::kUnsupported, "{% block %}"},
      {"{{ 'x'|urlize }}", StatusCode::kUnsupported, "'urlize'"},
      {"{{ 'x'|escape }}", StatusCode::kUnsupported, "'escape'"},
      {"\n{{ 'x'.encode() }}", StatusCode::kUnsupported, "line 2"},
      {"{{ [1].nope() }}", StatusCode::kInvalidArgument, "'nope'"},
      {"{{ [1]|map('string') }}", StatusCode::kUnsupported, "|list"},
      {"{{ '{:>5}'.format(1) }}", StatusCode::kUnsupported, "format specifications"},
      {"\n\n{{ raise_exception('no\nway') }}", StatusCode::kInvalidArgument, "line 3"},
      {"{{ raise_exception('because') }}", StatusCode::kInvalidArgument, "because"},
      {"{{ x.y }}", StatusCode::kInvalidArgument, "'x' is undefined"},
      {"{{ {}.y.z }}", StatusCode::kInvalidArgument, "'dict object' has no attribute 'y'"},
      {"{{ [].append(1) }}", StatusCode::kInvalidArgument, "'append'"},
      {"{{ [1].pop() }}", StatusCode::kInvalidArgument, "'pop'"},
      {"{{ {}.update({}) }}", StatusCode::kInvalidArgument, "'update'"},
      {"{{ ''.__class__.mro }}", StatusCode::kInvalidArgument, "'__class__'"},
      {"{% for %}{% endfor %}", StatusCode::kFormat, "line 1"},
      {"a\n{% if x %}", StatusCode::kFormat, "endif"},
      {"a\n{{ 'x }}", StatusCode::kFormat, "line 2: a string has no end"},
      {"{{ (1] }}", StatusCode::kFormat, "expected ')'"},
      {"{{ a b }}", StatusCode::kFormat, "found 'b'"},
      {"{# x", StatusCode::kFormat, "comment"},
      {"{% raw %} x", StatusCode::kFormat, "endraw"},
      {"{{ $ }}", StatusCode::kFormat, "'$'"},
      {"\xff", StatusCode::kFormat, "UTF-8"},
      {"{% break %}", StatusCode::kFormat, "outside a loop"},
      {"{% macro m(a) %}{% endmacro %}{{ m(b=1) }}", StatusCode::kInvalidArgument,
       "no keyword argument 'b'"},
      {"{{ strftime_now(1) }}", StatusCode::kInvalidArgument, "strftime_now"},
  };
  for (const ErrorCase& test : cases) {
    const Result<std::string> text = RenderText(test.source);
    ASSERT_FALSE(text.ok()) << test.source << " gave " << *text;
    EXPECT_EQ(text.status().code(), test.code) << test.source << ": " << text.status().message();
    EXPECT_NE(text.status().message().find(test.message), std::string::npos)
        << test.source << ": " << text.status().message();
    EXPECT_EQ(text.status().message().find('\n'), std::string::npos) << test.source;
  }
}

TEST(TemplateErrorsTest, ValuesNestedTooDeepAreRefused) {
  Json deep = 1;
  for (int i = 0; i < 70; ++i) deep = Json::array({std::move(deep)});
  const Result<std::string> text = RenderText("{{ v }}", {{"v", deep}});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.status().code(), StatusCode::kLimit);
}

TEST(TemplateErrorsTest, TextThatIsNotUtf8IsRefused) {
  const Result<std::string> text = RenderText("{{ v }}", {{"v", "a\xff"}});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.status().code(), StatusCode::kFormat);
}

}  // namespace
}  // namespace fastkv::jinja
