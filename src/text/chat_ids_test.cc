// Chat templates and tokenizers together: the ids that Transformers gives for whole conversations.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "tests/unpack_testdata.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fastkv {
namespace {

struct Family {
  const char* name;
  const char* tokenizer;
};

class ChatIdsTest : public testing::TestWithParam<Family> {};

TEST_P(ChatIdsTest, AgreesWithTransformers) {
  const Result<Json> golden = ReadJsonFile(
      RealFileSystem(),
      UnpackedTestArchive("chat") + "/golden/" + GetParam().name + std::string(".json"),
      limits::kMaxConfigBytes);
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Load(
      RealFileSystem(), UnpackedTestArchive("tokenizers") + "/" + GetParam().tokenizer);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  std::map<std::string, Json> special_tokens;
  for (const char* token : {"bos_token", "eos_token"}) {
    if (!(*golden)[token].is_null()) special_tokens[token] = (*golden)[token];
  }
  const Result<ChatTemplate> chat_template =
      ChatTemplate::Parse((*golden)["template"].get<std::string>(), special_tokens);
  ASSERT_TRUE(chat_template.ok()) << chat_template.status().message();
  size_t num_compared = 0;
  for (const Json& test : (*golden)["cases"]) {
    if (!test["expected"].contains("ids")) continue;
    ChatTemplateInputs inputs;
    inputs.messages = test["messages"];
    if (test.contains("tools")) inputs.tools = test["tools"];
    inputs.add_generation_prompt = test["add_generation_prompt"];
    if (test.contains("set")) {
      for (const auto& [name, value] : test["set"].items()) inputs.variables[name] = value;
    }
    const Result<std::vector<TextSegment>> segments = chat_template->Render(inputs);
    ASSERT_TRUE(segments.ok()) << segments.status().message();
    std::string text;
    std::string untrusted;
    for (const TextSegment& segment : *segments) {
      text += segment.text;
      if (!segment.trusted) untrusted += segment.text + "\n";
    }
    const std::vector<int32_t> expected = test["expected"]["ids"];
    EXPECT_EQ((*tokenizer)->Encode(text, {}).value(), expected) << test["name"];
    // As long as no user spells special tokens, where the text comes from changes nothing.
    const std::vector<int32_t> apart = (*tokenizer)->Encode(untrusted, {}).value();
    bool spells_special = false;
    for (const int32_t id : apart) spells_special |= (*tokenizer)->is_special(id);
    if (!spells_special) {
      EXPECT_EQ((*tokenizer)->Encode(*segments, {}).value(), expected) << test["name"];
    }
    ++num_compared;
  }
  EXPECT_GE(num_compared, 17u);
}

INSTANTIATE_TEST_SUITE_P(Families, ChatIdsTest,
                         testing::Values(Family{"deepseek-v3", "deepseek-v3"},
                                         Family{"phi-3.5", "phi-3-mini"}, Family{"qwen3", "qwen3"},
                                         Family{"zephyr", "mistral-7b-v0.1"}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace fastkv
