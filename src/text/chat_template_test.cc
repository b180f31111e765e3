#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "io/memory_file_system.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

const char* const kFamilies[] = {"chatml",       "deepseek-r1", "deepseek-v3", "gemma-2",
                                 "hermes-3",     "llama-3.1",   "llama-3.2",   "ministral-3",
                                 "mistral-nemo", "mistral-v3",  "phi-3.5",     "qwen2.5",
                                 "qwen3",        "smollm2",     "smollm3",     "zephyr"};

Json ReadFamily(const std::string& family) {
  Result<Json> golden =
      ReadJsonFile(RealFileSystem(), UnpackedTestArchive("chat") + "/golden/" + family + ".json",
                   limits::kMaxConfigBytes);
  EXPECT_TRUE(golden.ok()) << golden.status().message();
  return golden.ok() ? *std::move(golden) : Json();
}

// The folder that the family's model would have.
MemoryFileSystem FolderOf(const Json& golden) {
  MemoryFileSystem files;
  Json config = Json::object();
  for (const char* token : {"bos_token", "eos_token"}) config[token] = golden[token];
  if (golden["placement"] == "chat_template.jinja") {
    files.Put("m/chat_template.jinja", golden["template"].get<std::string>());
  } else {
    config["chat_template"] = golden["template"];
  }
  files.Put("m/tokenizer_config.json", DumpJson(config));
  return files;
}

ChatTemplateInputs InputsOf(const Json& test, const std::string& date) {
  ChatTemplateInputs inputs;
  inputs.messages = test["messages"];
  if (test.contains("tools")) inputs.tools = test["tools"];
  inputs.add_generation_prompt = test["add_generation_prompt"];
  if (test.contains("set")) {
    for (const auto& [name, value] : test["set"].items()) inputs.variables[name] = value;
  }
  inputs.now.year = std::stoi(date.substr(0, 4));
  inputs.now.month = std::stoi(date.substr(5, 2));
  inputs.now.day = std::stoi(date.substr(8, 2));
  return inputs;
}

std::string Joined(const std::vector<TextSegment>& segments) {
  std::string text;
  for (const TextSegment& segment : segments) text += segment.text;
  return text;
}

class ChatTemplateGoldenTest : public testing::TestWithParam<const char*> {};

TEST_P(ChatTemplateGoldenTest, RendersAsTransformersDoes) {
  const Json golden = ReadFamily(GetParam());
  MemoryFileSystem files = FolderOf(golden);
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(files, "m");
  ASSERT_TRUE(chat_template.ok()) << chat_template.status().message();
  ASSERT_FALSE(golden["cases"].empty());
  for (const Json& test : golden["cases"]) {
    const std::string name = test["name"];
    const Result<std::vector<TextSegment>> segments =
        chat_template->Render(InputsOf(test, golden["date"]));
    const Json& expected = test["expected"];
    if (expected.contains("text")) {
      ASSERT_TRUE(segments.ok()) << name << ": " << segments.status().message();
      EXPECT_EQ(Joined(*segments), expected["text"].get<std::string>()) << name;
      continue;
    }
    ASSERT_FALSE(segments.ok()) << name;
    EXPECT_EQ(ExitStatusFor(segments.status()), 2) << name;
    // What a template raises itself belongs in the message.
    const std::string error = expected["error"];
    const std::string raised = "TemplateError: ";
    if (error.starts_with(raised)) {
      EXPECT_EQ(segments.status().code(), StatusCode::kInvalidArgument) << name;
      EXPECT_NE(segments.status().message().find(error.substr(raised.size())), std::string::npos)
          << segments.status().message();
    }
  }
}

TEST_P(ChatTemplateGoldenTest, WhatAUserWritesIsNeverTrusted) {
  const Json golden = ReadFamily(GetParam());
  MemoryFileSystem files = FolderOf(golden);
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(files, "m");
  ASSERT_TRUE(chat_template.ok()) << chat_template.status().message();
  const std::string hostile = "<hostile|im_end|eot_id>";
  ChatTemplateInputs inputs;
  inputs.messages = {{{"role", "user"}, {"content", "a " + hostile + " b"}},
                     {{"role", "assistant"}, {"content", hostile}},
                     {{"role", "user"}, {"content", hostile + " c "}}};
  const Result<std::vector<TextSegment>> segments = chat_template->Render(inputs);
  ASSERT_TRUE(segments.ok()) << segments.status().message();
  size_t found = 0;
  std::string trusted;
  for (const TextSegment& segment : *segments) {
    if (segment.trusted) {
      trusted += segment.text + "|";
    } else if (segment.text.find(hostile) != std::string::npos) {
      ++found;
    }
  }
  EXPECT_EQ(trusted.find("hostile"), std::string::npos) << trusted;
  EXPECT_EQ(found, 3u) << Joined(*segments);
}

INSTANTIATE_TEST_SUITE_P(Families, ChatTemplateGoldenTest, testing::ValuesIn(kFamilies),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

ChatTemplateInputs OneMessage() {
  ChatTemplateInputs inputs;
  inputs.messages = {{{"role", "user"}, {"content", "Hi"}}};
  return inputs;
}

std::string RenderFolder(MemoryFileSystem& files, const ChatTemplateInputs& inputs) {
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(files, "m");
  if (!chat_template.ok()) return "load: " + chat_template.status().message();
  const Result<std::vector<TextSegment>> segments = chat_template->Render(inputs);
  return segments.ok() ? Joined(*segments) : "render: " + segments.status().message();
}

TEST(ChatTemplateTest, TheTemplateFileComesFirst) {
  MemoryFileSystem files;
  files.Put("m/tokenizer_config.json", R"({"chat_template": "config", "bos_token": "<s>"})");
  EXPECT_EQ(RenderFolder(files, OneMessage()), "config");
  files.Put("m/chat_template.jinja", "{{ bos_token }}file\n");
  EXPECT_EQ(RenderFolder(files, OneMessage()), "<s>file");
  files.Remove("m/tokenizer_config.json");
  EXPECT_EQ(RenderFolder(files, OneMessage()), "file");
}

TEST(ChatTemplateTest, NoTemplateIsAnErrorThatSaysSo) {
  MemoryFileSystem files;
  EXPECT_EQ(ChatTemplate::Load(files, "m").status().code(), StatusCode::kNotFound);
  files.Put("m/tokenizer_config.json", R"({"chat_template": null})");
  const Status status = ChatTemplate::Load(files, "m").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(status.message().find("no chat template"), std::string::npos);
}

TEST(ChatTemplateTest, DamagedFilesAreRefused) {
  for (const char* config :
       {"[]", "{", R"({"chat_template": 5})", R"({"chat_template": [5]})",
        R"({"chat_template": [{"name": "default"}]})", R"({"chat_template": "{% if %}"})"}) {
    MemoryFileSystem files;
    files.Put("m/tokenizer_config.json", config);
    const Result<ChatTemplate> chat_template = ChatTemplate::Load(files, "m");
    ASSERT_FALSE(chat_template.ok()) << config;
    EXPECT_EQ(chat_template.status().code(), StatusCode::kFormat)
        << config << chat_template.status().message();
    EXPECT_NE(chat_template.status().message().find("tokenizer_config.json"), std::string::npos)
        << chat_template.status().message();
  }
}

TEST(ChatTemplateTest, NamedTemplatesAreChosenByTools) {
  MemoryFileSystem files;
  files.Put("m/tokenizer_config.json", R"({"chat_template": [
      {"name": "rag", "template": "{% broken"},
      {"name": "default", "template": "default"},
      {"name": "tool_use", "template": "tools {{ tools|length }}"}]})");
  ChatTemplateInputs inputs = OneMessage();
  EXPECT_EQ(RenderFolder(files, inputs), "default");
  inputs.tools = Json();
  EXPECT_EQ(RenderFolder(files, inputs), "default");
  inputs.tools = Json::array();
  EXPECT_EQ(RenderFolder(files, inputs), "tools 0");
  files.Put("m/tokenizer_config.json",
            R"({"chat_template": [{"name": "default", "template": "default"}]})");
  EXPECT_EQ(RenderFolder(files, inputs), "default");
  files.Put("m/tokenizer_config.json",
            R"({"chat_template": [{"name": "other", "template": "other"}]})");
  EXPECT_EQ(RenderFolder(files, inputs).substr(0, 7), "render:");
}

TEST(ChatTemplateTest, SpecialTokensAreStringsOrObjectsOrNotThere) {
  MemoryFileSystem files;
  files.Put("m/tokenizer_config.json", R"({"bos_token": {"content": "<s>", "lstrip": false},
      "eos_token": null, "pad_token": "<pad>", "add_bos_token": true,
      "additional_special_tokens": ["<a>", {"content": "<b>"}],
      "chat_template": "{{ bos_token }}{{ eos_token is defined }}{{ unk_token is defined }}{{ pad_token }}{{ additional_special_tokens }}{{ add_bos_token is defined }}"})");
  EXPECT_EQ(RenderFolder(files, OneMessage()), "<s>FalseFalse<pad>['<a>', '<b>']False");
}

TEST(ChatTemplateTest, VariablesThatAreAlwaysThere) {
  const Result<ChatTemplate> chat_template = ChatTemplate::Parse(
      "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ x is defined }}",
      {});
  ChatTemplateInputs inputs = OneMessage();
  EXPECT_EQ(Joined(*chat_template->Render(inputs)), "TrueTrueTrueFalse");
  inputs.add_generation_prompt = false;
  inputs.tools = Json::array();
  inputs.variables["documents"] = Json::array();
  inputs.variables["x"] = 1;
  EXPECT_EQ(Joined(*chat_template->Render(inputs)), "FalseFalseFalseTrue");
}

TEST(ChatTemplateTest, InputsOfTheWrongKindAreRefused) {
  const Result<ChatTemplate> chat_template = ChatTemplate::Parse("x", {});
  ChatTemplateInputs inputs;
  inputs.messages = "text";
  EXPECT_EQ(chat_template->Render(inputs).status().code(), StatusCode::kInvalidArgument);
  inputs = OneMessage();
  inputs.tools = Json::object();
  EXPECT_EQ(chat_template->Render(inputs).status().code(), StatusCode::kInvalidArgument);
  for (const char* name : {"messages", "tools", "add_generation_prompt"}) {
    inputs = OneMessage();
    inputs.variables[name] = 1;
    EXPECT_EQ(chat_template->Render(inputs).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(ChatTemplateTest, SpecialTokensAreTrustedAndOtherVariablesAreNot) {
  const Result<ChatTemplate> chat_template =
      ChatTemplate::Parse("{{ bos_token }}{{ x }}", {{"bos_token", "<s>"}});
  ChatTemplateInputs inputs = OneMessage();
  inputs.variables["x"] = "<s>";
  const Result<std::vector<TextSegment>> segments = chat_template->Render(inputs);
  ASSERT_EQ(segments->size(), 2u);
  EXPECT_TRUE((*segments)[0].trusted);
  EXPECT_FALSE((*segments)[1].trusted);
}

TEST(ChatTemplateTest, OneTemplateServesManyThreads) {
  const Json golden = ReadFamily("llama-3.1");
  MemoryFileSystem files = FolderOf(golden);
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(files, "m");
  ASSERT_TRUE(chat_template.ok());
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (const Json& test : golden["cases"]) {
        const Result<std::vector<TextSegment>> segments =
            chat_template->Render(InputsOf(test, golden["date"]));
        text += segments.ok() ? Joined(*segments) : segments.status().message();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, texts[0]);
}

TEST(ChatTemplateTest, LongConversationsFitTheBudgets) {
  const Json golden = ReadFamily("qwen3");
  MemoryFileSystem files = FolderOf(golden);
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(files, "m");
  ASSERT_TRUE(chat_template.ok());
  ChatTemplateInputs inputs;
  for (int i = 0; i < 2000; ++i) {
    inputs.messages.push_back({{"role", i % 2 == 0 ? "user" : "assistant"},
                               {"content", std::string(500, 'a' + static_cast<char>(i % 26))}});
  }
  const Result<std::vector<TextSegment>> segments = chat_template->Render(inputs);
  ASSERT_TRUE(segments.ok()) << segments.status().message();
  EXPECT_GT(Joined(*segments).size(), size_t{2000} * 500);

  inputs.messages = {{{"role", "user"}, {"content", std::string(8 << 20, 'x')}}};
  EXPECT_TRUE(chat_template->Render(inputs).ok());
}

}  // namespace
}  // namespace fastkv
