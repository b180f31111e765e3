// Reading the user's copies of LongBench, InfiniteBench and RULER. All texts here are ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/suites/benchmark_file.h"
#include "eval/suites/infinitebench_task.h"
#include "eval/suites/longbench_task.h"
#include "eval/suites/python_format.h"
#include "eval/suites/ruler_files.h"
#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(PythonFormat, FillsNamedFieldsOnce) {
  const FormatFields fields = {{"a", "{b}"}, {"b", "x"}};
  EXPECT_EQ(FormatTemplate("{a} {b} {{b}} }}{{", fields).value(), "{b} x {b} }{");
  EXPECT_EQ(FormatTemplate("", fields).value(), "");
  for (const char* wrong : {"{c}", "{", "}", "{a", "{a:>3}", "{}"}) {
    EXPECT_EQ(FormatTemplate(wrong, fields).status().code(), StatusCode::kFormat) << wrong;
  }
}

TEST(BenchmarkFile, CountsLinesAndNamesThem) {
  MemoryFileSystem files;
  files.Put("a.jsonl", "\xEF\xBB\xBF{\"x\":1}\r\n\n  \n[1]\n{\"x\":2}");
  const auto file = BenchmarkFile::Open(files, "a.jsonl");
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->num_lines(), 3);
  EXPECT_EQ(file->Line(0).value()["x"], 1);
  EXPECT_EQ(file->Line(2).value()["x"], 2);
  EXPECT_EQ(file->LineNumber(2), 5);
  EXPECT_THAT(file->Line(1).status().message(), HasSubstr("a.jsonl line 4"));
  EXPECT_FALSE(BenchmarkFile::Open(files, "b.jsonl").ok());
}

class BenchmarkTasksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    files_.Put("lb/config/dataset2prompt.json",
               R"({"qasper":"Read: {context} Ask: {input}","samsum":"{context}\n{input}\n"})");
    files_.Put("lb/config/dataset2maxlen.json", R"({"qasper":128,"samsum":120})");
    const std::string record =
        R"({"input":"why?","context":"a {b} c","answers":["x","y"],"length":3,"all_classes":null})";
    files_.Put("lb/data/qasper.jsonl", record + "\n{\"context\":5}\n");
    files_.Put("lb/data/qasper_e.jsonl", record);
    files_.Put("lb/data/samsum.jsonl", record);
  }

  Result<std::unique_ptr<BenchmarkTask>> LongBench(
      const std::string& name, BenchmarkProfile profile = BenchmarkProfile::kOfficial) {
    return OpenLongBenchTask(files_, "lb", name, profile);
  }

  void PutInfiniteBench(const std::string& name, const std::string& record) {
    files_.Put("ib/data/" + name + ".jsonl", record);
  }
  Result<BenchmarkSample> InfiniteBench(
      const std::string& name, InfiniteBenchStyle style = InfiniteBenchStyle::kCompletion) {
    const auto task = OpenInfiniteBenchTask(files_, "ib", name, style);
    if (!task.ok()) return task.status();
    return (*task)->Sample(0);
  }

  MemoryFileSystem files_;
};

TEST_F(BenchmarkTasksTest, LongBenchFillsTheUsersTemplates) {
  const auto task = LongBench("qasper");
  ASSERT_TRUE(task.ok()) << task.status().message();
  ASSERT_EQ((*task)->num_samples(), 2);
  EXPECT_EQ((*task)->max_new_tokens(), 128);
  const auto sample = (*task)->Sample(0);
  ASSERT_TRUE(sample.ok()) << sample.status().message();
  EXPECT_EQ(sample->prompt, "Read: a {b} c Ask: why?");
  EXPECT_EQ(sample->line_number, 1);
  EXPECT_TRUE(sample->use_chat);
  EXPECT_FALSE(sample->needs_a_token);
  EXPECT_EQ(sample->score.suite, "longbench");
  EXPECT_EQ(sample->score.task, "qasper");
  EXPECT_EQ(sample->score.answers, Json({"x", "y"}));
  EXPECT_THAT((*task)->Sample(1).status().message(), HasSubstr("qasper.jsonl line 2"));
}

TEST_F(BenchmarkTasksTest, LongBenchSetsHaveTheirRules) {
  const auto official = (*LongBench("samsum"))->Sample(0);
  EXPECT_EQ(official->prompt, "a {b} c\nwhy?\n");
  EXPECT_FALSE(official->use_chat);
  EXPECT_TRUE(official->stop_at_newline);
  EXPECT_TRUE(official->needs_a_token);
  const auto fastkv = (*LongBench("samsum", BenchmarkProfile::kFastkv))->Sample(0);
  EXPECT_FALSE(fastkv->stop_at_newline);
  EXPECT_TRUE(fastkv->needs_a_token);
  EXPECT_EQ(fastkv->score.profile, "fastkv");
  const auto extended = (*LongBench("qasper_e"))->Sample(0);
  EXPECT_EQ(extended->score.task, "qasper_e");
  EXPECT_EQ(extended->max_new_tokens, 128);
}

TEST_F(BenchmarkTasksTest, LongBenchSaysWhatIsMissing) {
  EXPECT_THAT(LongBench("quality").status().message(), HasSubstr("\"quality\""));
  EXPECT_THAT(LongBench("trec").status().message(), HasSubstr("trec"));
  files_.Remove("lb/data/samsum.jsonl");
  EXPECT_THAT(LongBench("samsum").status().message(), HasSubstr("data/samsum.jsonl"));
  files_.Remove("lb/config/dataset2maxlen.json");
  EXPECT_THAT(LongBench("qasper").status().message(), HasSubstr("config/dataset2maxlen.json"));
}

constexpr const char* kPrompts =
    "gpt4_templates = {\n"
    "    # \"passkey\": \"old\",\n"
    "    \"passkey\": \"Chat {context}|{input}\",  # noqa\n"
    "    \"math_find\": \"{prefix}|{context}|{input}\",\n"
    "    \"code_run\": \"{func} in {context} gives {func_call}\",\n"
    "}\n\n"
    "yarn_mistral_templates = {\n"
    "    \"passkey\": \"{context}|{input}|The key is\",\n"
    "    \"math_find\": \"{prefix}|{context}|{input}\",\n"
    "    \"code_run\": \"{func} in {context} gives {func_call}\",\n"
    "    \"code_debug\": \"{context} A. {OPTION_A} D. {OPTION_D}\",\n"
    "    \"longbook_qa_eng\": \"{context} Q: {question}\",\n"
    "}\n";

TEST_F(BenchmarkTasksTest, InfiniteBenchFillsTheUsersTemplates) {
  files_.Put("ib/src/prompt.py", kPrompts);
  PutInfiniteBench("passkey",
                   R"({"id":0,"context":"ctx","input":"in","answer":["5"],"options":[]})");
  const auto plain = InfiniteBench("passkey");
  ASSERT_TRUE(plain.ok()) << plain.status().message();
  EXPECT_EQ(plain->prompt, "ctx|in|The key is");
  EXPECT_EQ(plain->max_new_tokens, 6);
  EXPECT_FALSE(plain->use_chat);
  EXPECT_EQ(plain->score.answers, Json::array({"5"}));
  const auto chat = InfiniteBench("passkey", InfiniteBenchStyle::kChat);
  EXPECT_EQ(chat->prompt, "Chat ctx|in");
  EXPECT_EQ(chat->max_new_tokens, kMinInfiniteBenchChatTokens);
  EXPECT_TRUE(chat->use_chat);

  PutInfiniteBench("passkey", R"({"content":"old","input":"in","answer":"5"})");
  EXPECT_EQ(InfiniteBench("passkey")->prompt, "old|in|The key is");
  PutInfiniteBench("code_debug",
                   R"({"context":"c","input":"","answer":"w","options":["w","x","y","z"]})");
  const auto choice = InfiniteBench("code_debug");
  EXPECT_EQ(choice->prompt, "c A. w D. z");
  EXPECT_THAT(choice->score.options, ElementsAre("w", "x", "y", "z"));
  PutInfiniteBench("longbook_qa_eng", R"({"context":"c","input":"who?","answer":["A","B"]})");
  EXPECT_EQ(InfiniteBench("longbook_qa_eng")->prompt, "c Q: who?");
}

TEST_F(BenchmarkTasksTest, InfiniteBenchFindsCallsAndNumbers) {
  files_.Put("ib/src/prompt.py", kPrompts);
  PutInfiniteBench(
      "code_run",
      R"json({"context":"c","input":"Give func_x(1) or func_12(-3). Not func_4(5)","answer":1}
)json");
  EXPECT_EQ(InfiniteBench("code_run")->prompt, "func_12 in c gives func_12(-3)");
  PutInfiniteBench("code_run", R"json({"context":"c","input":"func_1(x)","answer":1}
)json");
  EXPECT_EQ(InfiniteBench("code_run").status().code(), StatusCode::kFormat);

  const std::string find =
      R"({"context":"[1]","input":"The Third largest of all of it?","answer":1})";
  PutInfiniteBench("math_find", find);
  EXPECT_THAT(InfiniteBench("math_find").status().message(), HasSubstr("eval_utils.py"));
  files_.Put("ib/src/eval_utils.py",
             "def f():\n    prefix = f\"Where is {target_number} here?\"\n");
  EXPECT_EQ(InfiniteBench("math_find")->prompt,
            "Where is the third largest of all here?|[1]|The Third largest of all of it?");
}

TEST_F(BenchmarkTasksTest, InfiniteBenchTakesPromptsAsJson) {
  files_.Put("ib/prompts.json",
             R"({"yarn_mistral_templates":{"passkey":"J {context}","math_find":"{prefix}"},
                 "math_find_prefix":"Find {target_number}"})");
  PutInfiniteBench("passkey", R"({"context":"c","answer":"5"})");
  EXPECT_EQ(InfiniteBench("passkey")->prompt, "J c");
  PutInfiniteBench("math_find", R"({"context":"c","input":"The a of","answer":5})");
  EXPECT_EQ(InfiniteBench("math_find")->prompt, "Find the a");
  EXPECT_THAT(InfiniteBench("passkey", InfiniteBenchStyle::kChat).status().message(),
              HasSubstr("gpt4_templates"));
}

TEST_F(BenchmarkTasksTest, InfiniteBenchSaysWhatIsMissing) {
  PutInfiniteBench("passkey", R"({"context":"c","input":"i","answer":"5"})");
  EXPECT_THAT(InfiniteBench("passkey").status().message(), HasSubstr("prompt.py"));
  EXPECT_THAT(InfiniteBench("retrieval").status().message(), HasSubstr("\"retrieval\""));
  files_.Put("ib/src/prompt.py", kPrompts);
  EXPECT_THAT(InfiniteBench("math_calc").status().message(), HasSubstr("\"math_calc\""));
  PutInfiniteBench("passkey", R"({"context":"c","input":"i"})");
  EXPECT_THAT(InfiniteBench("passkey").status().message(), HasSubstr("'answer'"));
  EXPECT_EQ(InfiniteBenchPromptLimit(32768, 40, InfiniteBenchStyle::kCompletion), 32728);
}

TEST_F(BenchmarkTasksTest, RulerReadsFilesOfBothGenerations) {
  files_.Put("r/vt/validation.jsonl",
             "{\"index\":3,\"input\":\"old text Answer:\",\"outputs\":[\"A\",\"B\"],\"length\":9}\n"
             "{\"index\":3,\"input\":\"new\\nask\\n\",\"answer_prefix\":\" "
             "Answer:\",\"outputs\":[\"C\"]}\n"
             "{\"input\":\"x\"}\n");
  const auto task = OpenRulerFile(files_, "r", "vt", 0, BenchmarkProfile::kOfficial);
  ASSERT_TRUE(task.ok()) << task.status().message();
  EXPECT_EQ((*task)->num_samples(), 3);
  EXPECT_EQ((*task)->max_new_tokens(), 30);
  EXPECT_EQ((*task)->Sample(0)->prompt, "old text Answer:");
  EXPECT_EQ((*task)->Sample(0)->answer_prefix, "");
  EXPECT_EQ((*task)->Sample(1)->prompt, "new\nask\n");
  EXPECT_EQ((*task)->Sample(1)->answer_prefix, " Answer:");
  EXPECT_EQ((*task)->Sample(1)->question, "ask");
  EXPECT_EQ((*task)->Sample(1)->line_number, 2);
  EXPECT_EQ((*task)->Sample(2).status().code(), StatusCode::kFormat);
}

TEST_F(BenchmarkTasksTest, RulerLooksWhereDataLie) {
  const std::string record = "{\"input\":\"i\",\"outputs\":[\"C\"]}";
  files_.Put("r/4096/cwe.jsonl", record);
  files_.Put("r/8192/cwe/validation.jsonl", record);
  EXPECT_TRUE(OpenRulerFile(files_, "r", "cwe", 4096, BenchmarkProfile::kOfficial).ok());
  const auto fastkv = OpenRulerFile(files_, "r", "cwe", 8192, BenchmarkProfile::kFastkv);
  ASSERT_TRUE(fastkv.ok());
  EXPECT_EQ((*fastkv)->max_new_tokens(), 64);
  EXPECT_EQ((*fastkv)->Sample(0)->score.profile, "fastkv");
  EXPECT_EQ(OpenRulerFile(files_, "r", "cwe", 16384, BenchmarkProfile::kOfficial).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(OpenRulerFile(files_, "r", "niah", 4096, BenchmarkProfile::kOfficial).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenRulerFile(files_, "r", "qa_1", 4096, BenchmarkProfile::kFastkv).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(BenchmarkTasksTest, RulerWritesWhatItReads) {
  const RulerSample made{.index = 0,
                         .input = "in \"put\"\n",
                         .answer_prefix = "Answer:",
                         .outputs = {"1", "2"},
                         .length_tokens = 77};
  const std::string line = RulerJsonLine(made);
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(ParseJson(line).value()["length"], 77);
  files_.Put("r/fwe.jsonl", line);
  const auto sample =
      (*OpenRulerFile(files_, "r", "fwe", 4096, BenchmarkProfile::kOfficial))->Sample(0);
  EXPECT_EQ(sample->prompt, made.input);
  EXPECT_EQ(sample->answer_prefix, made.answer_prefix);
  EXPECT_EQ(sample->score.answers, Json({"1", "2"}));
}

}  // namespace
}  // namespace fastkv
