// The published tables of the benchmarks, row by row.
#include <gtest/gtest.h>

#include "eval/ruler/ruler_task.h"
#include "eval/scorers/longbench_scores.h"
#include "eval/scorers/ruler_tasks.h"
#include "eval/suite_list.h"
#include "eval/suites/infinitebench_task.h"
#include "eval/suites/longbench_task.h"
#include "io/memory_file_system.h"
#include "text/tokenizer.h"

namespace fastkv {
namespace {

// scripts/data/synthetic/constants.py
TEST(RulerTable, TokensToGenerate) {
  const std::pair<std::string_view, int64_t> kRows[] = {{"niah_single_1", 128},
                                                        {"niah_single_2", 128},
                                                        {"niah_single_3", 128},
                                                        {"niah_multikey_1", 128},
                                                        {"niah_multikey_2", 128},
                                                        {"niah_multikey_3", 128},
                                                        {"niah_multivalue", 128},
                                                        {"niah_multiquery", 128},
                                                        {"vt", 30},
                                                        {"cwe", 120},
                                                        {"fwe", 50},
                                                        {"qa_1", 32},
                                                        {"qa_2", 32}};
  ASSERT_EQ(RulerTaskNames().size(), std::size(kRows));
  for (size_t i = 0; i < std::size(kRows); ++i) {
    EXPECT_EQ(RulerTaskNames()[i], kRows[i].first);
    EXPECT_EQ(RulerTokensToGenerate(kRows[i].first).value(), kRows[i].second) << kRows[i].first;
  }
}

struct LongBenchRow {
  const char* dataset;
  LongBenchMetric metric;
  bool use_chat;
  bool first_line_only;
};
constexpr LongBenchRow kLongBenchRows[] = {
    {"narrativeqa", LongBenchMetric::kF1, true, false},
    {"qasper", LongBenchMetric::kF1, true, false},
    {"multifieldqa_en", LongBenchMetric::kF1, true, false},
    {"multifieldqa_zh", LongBenchMetric::kChineseF1, true, false},
    {"hotpotqa", LongBenchMetric::kF1, true, false},
    {"2wikimqa", LongBenchMetric::kF1, true, false},
    {"musique", LongBenchMetric::kF1, true, false},
    {"dureader", LongBenchMetric::kChineseRougeL, true, false},
    {"gov_report", LongBenchMetric::kRougeL, true, false},
    {"qmsum", LongBenchMetric::kRougeL, true, false},
    {"multi_news", LongBenchMetric::kRougeL, true, false},
    {"vcsum", LongBenchMetric::kChineseRougeL, true, false},
    {"trec", LongBenchMetric::kClassification, false, true},
    {"triviaqa", LongBenchMetric::kF1, false, true},
    {"samsum", LongBenchMetric::kRougeL, false, true},
    {"lsht", LongBenchMetric::kClassification, false, true},
    {"passage_count", LongBenchMetric::kCount, true, false},
    {"passage_retrieval_en", LongBenchMetric::kRetrieval, true, false},
    {"passage_retrieval_zh", LongBenchMetric::kChineseRetrieval, true, false},
    {"lcc", LongBenchMetric::kCodeSimilarity, false, false},
    {"repobench-p", LongBenchMetric::kCodeSimilarity, false, false}};

TEST(LongBenchTable, MetricTemplateAndFirstLine) {
  MemoryFileSystem files;
  Json prompts;
  Json limits;
  for (const LongBenchRow& row : kLongBenchRows) {
    prompts[row.dataset] = "{context}";
    limits[row.dataset] = 7;
    files.Put(std::string("lb/") + row.dataset + ".jsonl",
              R"({"input":"i","context":"c","answers":["x"],"all_classes":["x"]})");
  }
  files.Put("lb/dataset2prompt.json", DumpJson(prompts));
  files.Put("lb/dataset2maxlen.json", DumpJson(limits));
  ASSERT_EQ(LongBenchDatasets().size(), std::size(kLongBenchRows));
  for (size_t i = 0; i < std::size(kLongBenchRows); ++i) {
    const LongBenchRow& row = kLongBenchRows[i];
    SCOPED_TRACE(row.dataset);
    EXPECT_EQ(LongBenchDatasets()[i], row.dataset);
    EXPECT_EQ(LongBenchMetricOf(row.dataset), row.metric);
    EXPECT_EQ(ScoresFirstLineOnly(row.dataset), row.first_line_only);
    const auto task = OpenLongBenchTask(files, "lb", row.dataset, BenchmarkProfile::kOfficial);
    ASSERT_TRUE(task.ok()) << task.status().message();
    EXPECT_EQ((*task)->Sample(0)->use_chat, row.use_chat);
    EXPECT_EQ((*task)->max_new_tokens(), 7) << "the data set's own limit";
  }
}

// DATA_NAME_TO_MAX_NEW_TOKENS in src/eval_utils.py
TEST(InfiniteBenchTable, TokensToGenerate) {
  const std::pair<std::string_view, int64_t> kRows[] = {{"passkey", 6},
                                                        {"number_string", 12},
                                                        {"kv_retrieval", 50},
                                                        {"longbook_sum_eng", 1200},
                                                        {"longbook_qa_eng", 40},
                                                        {"longbook_choice_eng", 40},
                                                        {"longdialogue_qa_eng", 40},
                                                        {"longbook_qa_chn", 40},
                                                        {"code_debug", 5},
                                                        {"code_run", 5},
                                                        {"math_calc", 30000},
                                                        {"math_find", 3}};
  MemoryFileSystem files;
  Json prompts;
  for (const auto& [task, max_new_tokens] : kRows) {
    prompts[std::string(task)] = "{context}";
    files.Put("ib/" + std::string(task) + ".jsonl", R"({"context":"c","input":"i","answer":"5"})");
  }
  files.Put("ib/prompts.json", DumpJson({{"yarn_mistral_templates", prompts},
                                         {"math_find_prefix", "{target_number}"}}));
  ASSERT_EQ(InfiniteBenchTasks().size(), std::size(kRows));
  for (size_t i = 0; i < std::size(kRows); ++i) {
    EXPECT_EQ(InfiniteBenchTasks()[i], kRows[i].first);
    const auto task = OpenInfiniteBenchTask(files, "ib", std::string(kRows[i].first),
                                            InfiniteBenchStyle::kCompletion);
    ASSERT_TRUE(task.ok()) << task.status().message();
    EXPECT_EQ((*task)->max_new_tokens(), kRows[i].second) << kRows[i].first;
  }
}

// The depths and lengths of FastKV's run_needle_in_haystack.py.
TEST(NiahTable, DepthsAndLengths) {
  const auto tokenizer = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  MemoryFileSystem files;
  files.Put("repo/a.txt", "The miller sold a lantern at noon in Harrow. ");
  files.Put("repo/run.py",
            "needle='\\nThe best thing in Harrow is a walk.\\n'\n"
            "retrieval_question='The best thing in Harrow is: '\n");
  const auto suite = CreateNiahSuite(
      {.files = &files, .tokenizer = tokenizer->get(), .data_folder = "repo", .seed = 1});
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  const Json settings = (*suite)->Settings();
  EXPECT_EQ(settings["depths"], Json({0, 11, 22, 33, 44, 56, 67, 78, 89, 100}));
  EXPECT_EQ(settings["lengths"], Json({16000, 32000, 48000, 64000, 80000, 96000, 112000, 128000}));
  EXPECT_EQ((*suite)->keys().size(), 80u);
}

}  // namespace
}  // namespace fastkv
