#include "eval/scorers/longbench_scores.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "eval/scorers/classification.h"
#include "eval/scorers/number_match.h"
#include "eval/scorers/python_text.h"
#include "eval/scorers/token_f1.h"

namespace fastkv {
namespace {

struct DatasetMetric {
  std::string_view name;
  LongBenchMetric metric;
  bool first_line_only;
};

constexpr std::array<DatasetMetric, 21> kDatasets = {{
    {"narrativeqa", LongBenchMetric::kF1, false},
    {"qasper", LongBenchMetric::kF1, false},
    {"multifieldqa_en", LongBenchMetric::kF1, false},
    {"multifieldqa_zh", LongBenchMetric::kChineseF1, false},
    {"hotpotqa", LongBenchMetric::kF1, false},
    {"2wikimqa", LongBenchMetric::kF1, false},
    {"musique", LongBenchMetric::kF1, false},
    {"dureader", LongBenchMetric::kChineseRougeL, false},
    {"gov_report", LongBenchMetric::kRougeL, false},
    {"qmsum", LongBenchMetric::kRougeL, false},
    {"multi_news", LongBenchMetric::kRougeL, false},
    {"vcsum", LongBenchMetric::kChineseRougeL, false},
    {"trec", LongBenchMetric::kClassification, true},
    {"triviaqa", LongBenchMetric::kF1, true},
    {"samsum", LongBenchMetric::kRougeL, true},
    {"lsht", LongBenchMetric::kClassification, true},
    {"passage_count", LongBenchMetric::kCount, false},
    {"passage_retrieval_en", LongBenchMetric::kRetrieval, false},
    {"passage_retrieval_zh", LongBenchMetric::kChineseRetrieval, false},
    {"lcc", LongBenchMetric::kCodeSimilarity, false},
    {"repobench-p", LongBenchMetric::kCodeSimilarity, false},
}};

const DatasetMetric* Find(std::string_view dataset) {
  if (dataset.ends_with("_e")) dataset.remove_suffix(2);
  const auto found = std::find_if(kDatasets.begin(), kDatasets.end(),
                                  [&](const auto& entry) { return entry.name == dataset; });
  return found == kDatasets.end() ? nullptr : &*found;
}

std::string_view FirstLine(std::string_view text) {
  return SplitAt(StripLeadingNewlines(text), '\n')[0];
}

Result<double> ScoreAnswer(LongBenchMetric metric, const LongBenchScoreParams& params,
                           std::string_view prediction, std::string_view answer) {
  switch (metric) {
    case LongBenchMetric::kF1:
      return EnglishF1(prediction, answer);
    case LongBenchMetric::kChineseF1:
      return ChineseWordF1(prediction, answer, *params.segmenter);
    case LongBenchMetric::kRougeL:
      return RougeL(prediction, answer, params.rouge);
    case LongBenchMetric::kChineseRougeL:
      return ChineseRougeL(prediction, answer, *params.segmenter, params.rouge);
    case LongBenchMetric::kClassification:
      return ClassificationScore(prediction, answer, params.all_classes);
    case LongBenchMetric::kCount:
      return CountScore(prediction, answer);
    case LongBenchMetric::kRetrieval:
      return RetrievalScore(prediction, answer, "Paragraph ");
    case LongBenchMetric::kChineseRetrieval:
      return RetrievalScore(prediction, answer, "段落");
    case LongBenchMetric::kCodeSimilarity:
      return CodeSimilarity(prediction, answer, params.edit_ratio);
  }
  return 0.0;
}

}  // namespace

std::optional<LongBenchMetric> LongBenchMetricOf(std::string_view dataset) {
  const DatasetMetric* found = Find(dataset);
  if (found == nullptr) return std::nullopt;
  return found->metric;
}

bool ScoresFirstLineOnly(std::string_view dataset) {
  const DatasetMetric* found = Find(dataset);
  return found != nullptr && found->first_line_only;
}

bool NeedsSegmenter(LongBenchMetric metric) {
  return metric == LongBenchMetric::kChineseF1 || metric == LongBenchMetric::kChineseRougeL;
}

Result<double> LongBenchScore(const LongBenchScoreParams& params) {
  const std::optional<LongBenchMetric> metric = LongBenchMetricOf(params.dataset);
  FASTKV_CHECK(metric.has_value());
  FASTKV_CHECK(params.segmenter != nullptr || !NeedsSegmenter(*metric));
  const std::string_view prediction =
      ScoresFirstLineOnly(params.dataset) ? FirstLine(params.prediction) : params.prediction;
  double best = 0;
  for (const std::string& answer : params.answers) {
    FASTKV_ASSIGN_OR_RETURN(const double score, ScoreAnswer(*metric, params, prediction, answer));
    best = std::max(best, score);
  }
  return best;
}

}  // namespace fastkv
