// The suites of public benchmarks, from option to score.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "eval/suite.h"
#include "eval/suite_list.h"
#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

class BenchmarkSuiteTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    tokenizer_ = std::move(loaded).value().release();
  }
  static void TearDownTestSuite() { delete std::exchange(tokenizer_, nullptr); }

  void SetUp() override {
    files_.Put("lb/dataset2prompt.json",
               R"({"qasper":"{context}\n{input}","trec":"{context}{input}"})");
    files_.Put("lb/dataset2maxlen.json", R"({"qasper":128,"trec":64})");
    std::string context;
    for (int i = 0; i < 300; ++i) context += "The miller sold lantern " + std::to_string(i) + ". ";
    files_.Put("lb/qasper.jsonl",
               "{\"context\":\"" + context +
                   "\",\"input\":\"Which?\",\"answers\":[\"lantern 7.\"]}\n"
                   "{\"context\":1}\n"
                   "{\"context\":\"short\",\"input\":\"What?\",\"answers\":[\"x\"]}\n");
    files_.Put("lb/trec.jsonl",
               R"({"context":"c","input":"i","answers":["Place"],"all_classes":["Place","Time"]})");
  }

  SuiteOptions Options(const std::string& data = "lb") {
    return {.files = &files_,
            .tokenizer = tokenizer_,
            .window_tokens = 1024,
            .data_folder = data,
            .seed = 1};
  }

  static EvalSample Make(const Suite& suite, size_t key) {
    auto sample = suite.Make(suite.keys()[key]);
    EXPECT_TRUE(sample.ok()) << sample.status().message();
    return std::move(sample).value();
  }

  MemoryFileSystem files_;
  static Tokenizer* tokenizer_;
};
Tokenizer* BenchmarkSuiteTest::tokenizer_ = nullptr;

TEST_F(BenchmarkSuiteTest, LongBenchCutsCountsAndScores) {
  SuiteOptions options = Options();
  options.tasks = {"qasper", "trec"};
  const auto suite = CreateLongBenchSuite(options);
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  EXPECT_EQ((*suite)->profile(), "official");
  ASSERT_EQ((*suite)->keys().size(), 3u);
  EXPECT_EQ((*suite)->keys()[1], (SampleKey{"qasper", 0, std::nullopt, 2})) << "line 2 is broken";
  EXPECT_EQ((*suite)->Settings()["tasks"][0]["skipped_lines"], 1);

  const EvalSample cut = Make(**suite, 0);
  EXPECT_LE(cut.ids.size(), 1024u - 500 + 2);
  EXPECT_GT(cut.untruncated_tokens, 1024);
  EXPECT_EQ(cut.max_new_tokens, 128);
  EXPECT_TRUE(cut.end_ids.empty());
  EXPECT_FALSE(cut.needs_a_token);
  EXPECT_EQ(cut.question, "Which?");
  EXPECT_THAT(cut.excerpt, HasSubstr("lantern 7."));
  EXPECT_EQ(Make(**suite, 1).untruncated_tokens, 0);
  EXPECT_EQ(*ScoreBenchmark({"qasper", "official", "the lantern 7", cut.expected}), 1);
  const Json trec = Make(**suite, 2).expected;
  EXPECT_EQ(*ScoreBenchmark({"trec", "official", "Place or Time\nPlace", trec}), 0.5);
  EXPECT_EQ(ScoreBenchmark({"trec", "official", "", Json(1)}).status().code(), StatusCode::kFormat);

  options.num_samples = 1;
  EXPECT_EQ((*CreateLongBenchSuite(options))->keys().size(), 2u);
}

TEST_F(BenchmarkSuiteTest, ProfilesDifferInTheirRules) {
  SuiteOptions options = Options();
  options.tasks = {"qasper"};
  options.profile = "fastkv";
  const auto suite = CreateLongBenchSuite(options);
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  EXPECT_EQ((*suite)->profile(), "fastkv");
  const EvalSample sample = Make(**suite, 1);
  EXPECT_TRUE(sample.needs_a_token);
  EXPECT_EQ(sample.end_ids, std::vector<int32_t>{*tokenizer_->eos_id()});
  EXPECT_EQ(sample.expected["profile"], "fastkv");
  options.profile = "kvpress";
  EXPECT_THAT(CreateLongBenchSuite(options).status().message(), HasSubstr("\"kvpress\""));
}

TEST_F(BenchmarkSuiteTest, ChineseWordsNeedADictionary) {
  SuiteOptions options = Options();
  options.tasks = {"vcsum"};
  EXPECT_THAT(CreateLongBenchSuite(options).status().message(), HasSubstr("--jieba-dict"));
  const Json expected = {{"suite", "longbench"}, {"task", "vcsum"}, {"answers", {"x"}}};
  EXPECT_EQ(ScoreBenchmark({"vcsum", "official", "x", expected}).status().code(),
            StatusCode::kUnsupported);
}

TEST_F(BenchmarkSuiteTest, SayWhatDoesNotFit) {
  SuiteOptions options = Options("");
  EXPECT_THAT(CreateLongBenchSuite(options).status().message(), HasSubstr("--data"));
  EXPECT_THAT(CreateInfiniteBenchSuite(options).status().message(), HasSubstr("--data"));
  options = Options();
  options.lengths = {4096};
  EXPECT_THAT(CreateLongBenchSuite(options).status().message(), HasSubstr("--length"));
  options = Options();
  options.tasks = {"qasper"};
  options.window_tokens = 400;
  EXPECT_THAT(CreateLongBenchSuite(options).status().message(), HasSubstr("400 tokens"));
  options.window_tokens = 1024;
  files_.Put("lb/qasper.jsonl", "{}\n");
  EXPECT_THAT(CreateLongBenchSuite(options).status().message(), HasSubstr("qasper.jsonl line 1"));
}

TEST_F(BenchmarkSuiteTest, InfiniteBenchChoosesPromptsByTheChatTemplate) {
  files_.Put("ib/prompt.py",
             "yarn_mistral_templates = {'passkey': '{context}{input} Key:'}\n"
             "gpt4_templates = {'passkey': '{context}{input}'}\n");
  files_.Put("ib/passkey.jsonl", R"({"context":"some ","input":"text","answer":["42"]})");
  SuiteOptions options = Options("ib");
  options.tasks = {"passkey"};
  const auto suite = CreateInfiniteBenchSuite(options);
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  const EvalSample sample = Make(**suite, 0);
  EXPECT_EQ(tokenizer_->Decode(sample.ids), "some text Key:");
  EXPECT_EQ(*ScoreBenchmark({"passkey", "official", " 42.", sample.expected}), 1);
  const auto chat = ChatTemplate::Parse("[{{ messages[0]['content'] }}]", {});
  options.chat_template = &*chat;
  const EvalSample wrapped = Make(**CreateInfiniteBenchSuite(options), 0);
  EXPECT_EQ(tokenizer_->Decode(wrapped.ids), "[some text]");
  EXPECT_EQ(wrapped.max_new_tokens, 128);
}

TEST_F(BenchmarkSuiteTest, RulerIsGeneratedOrRead) {
  SuiteOptions options = Options("");
  options.window_tokens = 32768;
  options.lengths = {1024, 2048};
  options.tasks = {"niah_single_1", "vt"};
  options.num_samples = 2;
  const auto native = CreateRulerSuite(options);
  ASSERT_TRUE(native.ok()) << native.status().message();
  EXPECT_EQ((*native)->profile(), "native");
  ASSERT_EQ((*native)->keys().size(), 8u);
  EXPECT_EQ((*native)->keys()[3], (SampleKey{"vt", 1024, std::nullopt, 1}));
  const EvalSample sample = Make(**native, 0);
  EXPECT_LE(sample.ids.size(), 1024u - 128);
  EXPECT_GE(sample.ids.size(), 1003u - 128);
  EXPECT_EQ(sample.ids, Make(**native, 0).ids);
  EXPECT_EQ(sample.max_new_tokens, 128);
  const std::string value = sample.expected["answers"][0];
  EXPECT_EQ(*ScoreBenchmark({"niah_single_1", "native", "It is " + value, sample.expected}), 1);

  files_.Put("r/1024/vt.jsonl", R"({"input":"a","outputs":["B"]})");
  options = Options("r");
  options.tasks = {"vt"};
  const auto official = CreateRulerSuite(options);
  ASSERT_TRUE(official.ok()) << official.status().message();
  EXPECT_EQ((*official)->profile(), "official");
  ASSERT_EQ((*official)->keys().size(), 1u);
  EXPECT_EQ((*official)->keys()[0].length, 1024);
  options.profile = "fastkv";
  EXPECT_EQ(Make(**CreateRulerSuite(options), 0).max_new_tokens, 64);
  options.depths = {50};
  EXPECT_THAT(CreateRulerSuite(options).status().message(), HasSubstr("--depths"));
}

TEST_F(BenchmarkSuiteTest, ChatTemplatesCountInTheLengthOfGeneratedSamples) {
  const auto chat = ChatTemplate::Parse(
      "You answer questions about long texts, and you do it well and in few words.\n"
      "[{{ messages[0]['content'] }}] [answer]",
      {});
  SuiteOptions options = Options("");
  options.window_tokens = 32768;
  options.chat_template = &*chat;
  options.lengths = {1100};
  options.tasks = {"vt"};
  const EvalSample sample = Make(**CreateRulerSuite(options), 0);
  EXPECT_LE(sample.ids.size(), 1100u - 30);
  EXPECT_EQ(sample.untruncated_tokens, 0);
  EXPECT_THAT(tokenizer_->Decode(sample.ids), HasSubstr("[answer]Answer: The variables"));
}

}  // namespace
}  // namespace fastkv
