#include "eval/eval_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/eval_page.h"
#include "eval/sample_list.h"
#include "eval/xy_chart.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

struct Wanted {
  std::string task = "number";
  int64_t length = 1024;
  std::optional<double> depth;
};

// Two runs, "full" and "snapkv 10 %", over samples given by their keys and scores.
class Results {
 public:
  void Add(const Wanted& wanted, std::optional<double> full, std::optional<double> snapkv) {
    AddOne(wanted, "full", full, 1000, 100);
    AddOne(wanted, "snapkv 10 %", snapkv, 100, 99);
    ++num_samples_;
  }

  EvalManifest Manifest() const {
    EvalManifest manifest;
    manifest.identity["suite"] = "needle-tasks";
    manifest.identity["profile"] = "native";
    manifest.identity["model"] = "needle <16m>";
    manifest.identity["settings"]["seed"] = 3;
    manifest.identity["runs"] = Json::array({{{"label", "full"}, {"method", "full"}},
                                             {{"label", "snapkv 10 %"}, {"method", "snapkv"}}});
    return manifest;
  }
  EvalSummary Summary() const { return SummariseResults(Manifest().identity, records); }

  std::vector<EvalRecord> records;

 private:
  void AddOne(const Wanted& wanted, const std::string& run, std::optional<double> score,
              int64_t kv_bytes, double flops) {
    EvalRecord record;
    record.sample = num_samples_;
    record.key = {
        .task = wanted.task, .length = wanted.length, .depth = wanted.depth, .index = num_samples_};
    record.run = run;
    record.score = score;
    if (!score) record.error = "out of <memory>";
    record.output = run + " says";
    record.question = "What & why?";
    record.expected = Json::array({"1", "2"});
    record.excerpt = "the <needle>";
    if (score) {
      record.kv_bytes = kv_bytes;
      record.full_kv_bytes = 1000;
      record.prefill_flops = flops;
      record.full_prefill_flops = 100;
    }
    records.push_back(record);
  }

  int64_t num_samples_ = 0;
};

TEST(EvalSummary, CellsAreMeansAndTheAverageCountsColumnsTheSame) {
  Results results;
  results.Add({.task = "word", .length = 2048}, 1, 0.5);
  results.Add({.task = "number"}, 1, 1);
  results.Add({.task = "number"}, 0, std::nullopt);
  results.Add({.task = "number"}, 0.5, 0.5);
  const EvalSummary summary = results.Summary();
  ASSERT_THAT(summary.columns, SizeIs(2));
  EXPECT_EQ(summary.columns[0], (EvalColumn{"number", 1024}));
  EXPECT_EQ(summary.columns[1], (EvalColumn{"word", 2048}));
  EXPECT_EQ(summary.num_samples, 4);
  ASSERT_THAT(summary.runs, SizeIs(2));
  const RunSummary& full = summary.runs[0];
  const RunSummary& snapkv = summary.runs[1];
  EXPECT_DOUBLE_EQ(full.cells[0].score.mean, 0.5);
  EXPECT_DOUBLE_EQ(full.cells[1].score.mean, 1);
  EXPECT_DOUBLE_EQ(full.average.mean, 0.75);
  EXPECT_EQ(full.difference, std::nullopt);
  EXPECT_DOUBLE_EQ(snapkv.cells[0].score.mean, 0.5) << "a failed sample counts 0";
  EXPECT_EQ(snapkv.cells[0].num_samples, 3);
  EXPECT_EQ(snapkv.cells[0].num_errors, 1);
  EXPECT_EQ(snapkv.num_errors, 1);
  EXPECT_DOUBLE_EQ(snapkv.average.mean, 0.5);
  ASSERT_TRUE(snapkv.difference.has_value());
  EXPECT_DOUBLE_EQ(snapkv.difference->mean, -0.25);
  EXPECT_DOUBLE_EQ(snapkv.kept_share, 0.1) << "of the samples that did not fail";
  EXPECT_DOUBLE_EQ(snapkv.flops_share, 0.99);
  EXPECT_DOUBLE_EQ(full.kept_share, 1);
  EXPECT_LE(snapkv.cells[0].score.low, 0.5);
  EXPECT_GE(snapkv.cells[0].score.high, 0.5);
}

TEST(EvalSummary, WhatSamplesHaveInCommonCancelsOutOfTheDifference) {
  Results results;
  for (int i = 0; i < 20; ++i) results.Add({}, i % 2, i % 2);
  const EvalSummary summary = results.Summary();
  EXPECT_LT(summary.runs[1].average.low, 0.45) << "the score itself is uncertain";
  EXPECT_EQ(summary.runs[1].difference->low, 0) << "that it is the same is not";
  EXPECT_EQ(summary.runs[1].difference->high, 0);
}

TEST(EvalSummary, DepthsAreMeansByLengthAndDepth) {
  Results results;
  for (const int64_t length : {2048, 1024}) {
    results.Add({.length = length, .depth = 50}, 1, 1);
    results.Add({.length = length, .depth = 50}, 0, 1);
    results.Add({.length = length, .depth = 0}, 1, 1);
  }
  const EvalSummary summary = results.Summary();
  ASSERT_TRUE(summary.has_depths());
  const std::vector<DepthCell>& cells = summary.runs[0].depths;
  ASSERT_THAT(cells, SizeIs(4));
  EXPECT_EQ(cells[0].length, 1024);
  EXPECT_EQ(cells[0].depth, 0);
  EXPECT_EQ(cells[0].score, 1);
  EXPECT_EQ(cells[1].depth, 50);
  EXPECT_EQ(cells[1].score, 0.5);
  EXPECT_EQ(cells[1].num_samples, 2);
  EXPECT_EQ(cells[3].length, 2048);
}

TEST(EvalSummary, NothingGivesAnEmptySummary) {
  const EvalSummary summary = SummariseResults(Json::object(), {});
  EXPECT_TRUE(summary.runs.empty());
  EXPECT_FALSE(summary.has_depths());
  EXPECT_THAT(RenderEvalPage({}, summary, {}), HasSubstr("</html>"));
}

TEST(EvalSummary, TablesHoldTheNumbers) {
  Results results;
  for (int i = 0; i < 4; ++i) results.Add({}, 1, 0.5);
  results.Add({.task = "word"}, 0, 0);
  const EvalSummary summary = results.Summary();
  const std::string markdown = SummaryMarkdown(results.Manifest(), summary);
  EXPECT_THAT(markdown, HasSubstr("| run | number | word |\n| --- | --- | --- |\n"));
  EXPECT_THAT(markdown, HasSubstr("| snapkv 10 % | 50.0 (50.0-50.0) | 0.0 (0.0-0.0) |\n"));
  EXPECT_THAT(markdown, HasSubstr("| snapkv 10 % | 25.0 (25.0-25.0) | -25.0 (-25.0 to -25.0) | "
                                  "10.0 % | 99.0 % |\n"));
  EXPECT_EQ(markdown.find("Contexts"), markdown.npos);
  EvalManifest shared = results.Manifest();
  shared.identity["runs"][0]["shares_context"] = true;
  for (const std::string& text :
       {SummaryMarkdown(shared, summary), RenderEvalPage(shared, summary, {})}) {
    EXPECT_THAT(text, HasSubstr("without their questions, by full; other runs"));
  }
  const std::string csv = SummaryCsv(summary);
  EXPECT_THAT(csv, HasSubstr("\nsnapkv 10 %,snapkv,number,1024,4,0,0.5,0.5,0.5,0.1,0.99\n"));
  EXPECT_THAT(csv, HasSubstr("\nfull,full,average,,5,0,0.5,0.5,0.5,1,1\n"));
  const Json json = SummaryJson(results.Manifest(), summary);
  EXPECT_EQ(json["samples"], 5);
  EXPECT_EQ(json["runs"][1]["run"], "snapkv 10 %");
  EXPECT_EQ(json["runs"][1]["cells"][0]["mean"], 0.5);
  EXPECT_EQ(json["runs"][1]["cells"][0]["samples"], 4);
  EXPECT_EQ(json["settings"]["seed"], 3);
  EXPECT_FALSE(json["runs"][0].contains("depths"));
}

TEST(EvalPage, ShowsTablesChartsAndSamples) {
  Results results;
  for (int i = 0; i < 4; ++i) results.Add({}, 1, 0.5);
  const std::string page = RenderEvalPage(results.Manifest(), results.Summary(), results.records);
  EXPECT_THAT(page, HasSubstr("needle-tasks on needle &lt;16m&gt;"));
  EXPECT_THAT(page, HasSubstr("<h3>1,024 tokens</h3>"));
  EXPECT_THAT(page, HasSubstr("<tr><th>snapkv 10 %</th><td><b style=\"--score:50\">50.0</b>"));
  EXPECT_THAT(page, HasSubstr("Score against KV memory"));
  EXPECT_THAT(page, HasSubstr("Score against prefill work"));
  EXPECT_THAT(page, HasSubstr("What &amp; why?"));
  EXPECT_THAT(page, HasSubstr("Expected: 1, 2"));
  EXPECT_THAT(page, HasSubstr("the &lt;needle&gt;"));
  EXPECT_THAT(page, HasSubstr("snapkv 10 % says"));
  EXPECT_THAT(page, Not(HasSubstr("Where the needle is found")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(EvalPage, DrawsAMapOfDepthsForEachRun) {
  Results results;
  for (const double depth : {0.0, 50.0, 100.0}) {
    for (const int64_t length : {1024, 2048}) {
      results.Add({.length = length, .depth = depth}, 1, depth / 100);
    }
  }
  const std::string page = RenderEvalPage(results.Manifest(), results.Summary(), results.records);
  EXPECT_THAT(page, HasSubstr("Where the needle is found"));
  EXPECT_THAT(page, HasSubstr("<figcaption>snapkv 10 %</figcaption>"));
  EXPECT_THAT(page, HasSubstr("<th>1,024</th><th>2,048</th>"));
  EXPECT_THAT(page, HasSubstr("<tr><th>50 %</th><td style=\"--score:50\">50</td><td "
                              "style=\"--score:50\">50</td></tr>"));
}

TEST(EvalPage, StaysSmallWithManySamples) {
  Results results;
  for (int i = 0; i < 3000; ++i) results.Add({}, 1, i % 1000 == 999 ? 0.0 : 1.0);
  for (EvalRecord& record : results.records) record.excerpt = std::string(5000, 'x');
  const std::string page = RenderEvalPage(results.Manifest(), results.Summary(), results.records);
  EXPECT_LT(page.size(), 1u << 20);
  EXPECT_THAT(page, HasSubstr("of 3,000 samples"));
  // Those that were answered differently are all there.
  for (const char* number : {"· 1000<", "· 2000<", "· 3000<"}) EXPECT_THAT(page, HasSubstr(number));
}

TEST(EvalPage, AFailedSampleSaysWhy) {
  Results results;
  results.Add({}, 1, std::nullopt);
  const std::string page = RenderEvalPage(results.Manifest(), results.Summary(), results.records);
  EXPECT_THAT(page, HasSubstr("failed: out of &lt;memory&gt;"));
  EXPECT_THAT(page, HasSubstr("1 failed"));
}

TEST(XyChart, PointsStandWhereTheyBelong) {
  XyChart chart{.title = "t", .x_title = "x", .x_is_logarithmic = true, .series = {}};
  chart.series.push_back(
      {.name = "a", .points = {{0.1, 0.5, 0.4, 0.6, "ten"}, {1, 1, 1, 1, "all"}}});
  const std::string svg = RenderXyChart(chart);
  // From x = 5 % at 40 to 100 % at 426 on a logarithmic axis, and from y = 0 at 246 to 100 % at 12:
  // 40 + 386 log(0.1 / 0.05) / log(1 / 0.05) = 129.3, and (246 + 12) / 2 = 129.
  EXPECT_THAT(svg, HasSubstr("<path class=\"line\" d=\"M129.3 129.0L426.0 12.0\"/>"));
  EXPECT_THAT(svg, HasSubstr("<title>ten</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("reference")));
  chart.series[0].is_reference = true;
  EXPECT_THAT(RenderXyChart(chart), HasSubstr("<path class=\"reference\" d=\"M40 129.0H426\"/>"));
  EXPECT_EQ(RenderXyChart({.title = "t", .x_title = "x", .series = {{.name = "a", .points = {}}}}),
            "");
}

TEST(SampleList, ExpectedAnswersOfAnyShape) {
  EXPECT_EQ(ExpectedText(Json::array({"a", "b"})), "a, b");
  EXPECT_EQ(ExpectedText(Json::array({1, 2.5})), "1, 2.5");
  EXPECT_EQ(ExpectedText("a"), "a");
  EXPECT_EQ(ExpectedText({{"answer", "x"}}), "x");
  EXPECT_EQ(ExpectedText({{"answers", {"x", "y"}}, {"other", 1}}), "[\"x\",\"y\"]");
  EXPECT_EQ(ExpectedText(nullptr), "");
  EXPECT_EQ(ExpectedText(3), "3");
}

}  // namespace
}  // namespace fastkv
