#include "fastkv/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "io/json.h"
#include "io/temp_folder.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

// A folder with a tokenizer and the given template, and a file of messages.
class ChatTemplateCommandTest : public testing::Test {
 protected:
  ChatTemplateCommandTest() {
    const std::string tokenizer = UnpackedTestArchive("tokenizers") + "/qwen3/tokenizer.json";
    std::ifstream in(tokenizer, std::ios::binary);
    std::ofstream(folder_.File("tokenizer.json"), std::ios::binary) << in.rdbuf();
    Write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
    Write("chat_template.jinja",
          "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}"
          "{{ tools }}{{ x }}{{ strftime_now('%d %b %Y') }}{{ add_generation_prompt }}");
    Write("messages.json", R"([{"role": "user", "content": "Hi"}])");
    Write("tools.json", R"([{"name": "f"}])");
    options_.model = folder_.path();
    options_.messages_file = folder_.File("messages.json");
    options_.date = "2025-01-02";
  }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_.File(name), std::ios::binary) << content;
  }

  std::string Run() {
    std::ostringstream out;
    status_ = RunChatTemplate(options_, out);
    return out.str();
  }

  TempFolder folder_;
  ChatTemplateOptions options_;
  Status status_;
};

TEST_F(ChatTemplateCommandTest, PrintsTextOrJson) {
  EXPECT_EQ(Run(), "user: Hi<|im_end|>\nNone02 Jan 2025True\n");
  EXPECT_TRUE(status_.ok()) << status_.message();
  options_.json = true;
  const Json report = ParseJson(Run()).value();
  EXPECT_EQ(report["text"], "user: Hi<|im_end|>\nNone02 Jan 2025True");
  ASSERT_TRUE(report["ids"].is_array());
  // <|im_end|> is one token.
  EXPECT_THAT(report["ids"].get<std::vector<int>>(), testing::Contains(151645));
}

TEST_F(ChatTemplateCommandTest, ToolsVariablesAndNoGenerationPrompt) {
  options_.tools_file = folder_.File("tools.json");
  options_.no_generation_prompt = true;
  options_.variables = {"x={\"a\": 1.0}"};
  EXPECT_EQ(Run(), "user: Hi<|im_end|>\n[{'name': 'f'}]{'a': 1.0}02 Jan 2025False\n");
  options_.variables = {"x=1", "x=\"a=b\""};
  EXPECT_THAT(Run(), HasSubstr("]a=b02"));
}

TEST_F(ChatTemplateCommandTest, BadInputGivesAnErrorAndNoOutput) {
  const auto fails = [&](const std::string& message) {
    EXPECT_EQ(Run(), "");
    EXPECT_EQ(ExitStatusFor(status_), 2) << status_.message();
    EXPECT_THAT(status_.message(), HasSubstr(message));
    EXPECT_EQ(status_.message().find('\n'), std::string::npos);
  };
  for (const char* date : {"2025-02-29", "2025-1-2", "x", "2025-01-02 ", "0000-01-01"}) {
    options_.date = date;
    fails("--date");
  }
  options_.date.clear();
  for (const char* variable : {"x", "=1", "x=a", "x={"}) {
    options_.variables = {variable};
    fails("--set");
  }
  options_.variables = {"messages=[]"};
  fails("'messages'");
  options_.variables.clear();
  Write("messages.json", "{}");
  fails("JSON array");
  Write("messages.json", "[");
  fails("messages.json");
  Write("messages.json", "[]");
  Write("chat_template.jinja", "{{ raise_exception('no\n messages') }}");
  fails("no  messages");
  Write("chat_template.jinja", "{{ 1|nope }}");
  fails("'nope'");
  options_.model = folder_.File("missing");
  fails("no chat template");
}

TEST_F(ChatTemplateCommandTest, TheClockIsReadWhereNoDateIsGiven) {
  options_.date.clear();
  EXPECT_THAT(Run(), HasSubstr("True"));
  EXPECT_TRUE(status_.ok()) << status_.message();
  EXPECT_GE(CurrentLocalTime().year, 2024);
}

}  // namespace
}  // namespace fastkv
