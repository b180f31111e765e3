// Every kind of expression and statement against the results of jinja2 itself.
#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"
#include "io/json.h"
#include "tests/unpack_testdata.h"
#include "text/jinja/render_for_test.h"

namespace fastkv::jinja {
namespace {

TEST(SemanticsTest, AgreesWithJinja2) {
  const Result<Json> groups = ReadJsonFile(
      RealFileSystem(), UnpackedTestArchive("chat") + "/semantics.json", limits::kMaxConfigBytes);
  ASSERT_TRUE(groups.ok()) << groups.status().message();
  size_t num_cases = 0;
  for (const Json& group : *groups) {
    for (const Json& test : group["cases"]) {
      const std::string source = test["template"];
      const Result<std::string> text = RenderText(source, group["variables"]);
      ++num_cases;
      if (test.contains("text")) {
        ASSERT_TRUE(text.ok()) << source << "\n" << text.status().message();
        EXPECT_EQ(*text, test["text"].get<std::string>()) << source;
      } else {
        ASSERT_FALSE(text.ok()) << source << "\n" << *text;
        EXPECT_EQ(ExitStatusFor(text.status()), 2) << source;
        EXPECT_NE(text.status().message().find(test["error"].get<std::string>()), std::string::npos)
            << source << "\n"
            << text.status().message();
      }
    }
  }
  EXPECT_GT(num_cases, 1500u);
}

}  // namespace
}  // namespace fastkv::jinja
