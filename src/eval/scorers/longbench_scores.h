// LongBench's metrics by data set (eval.py and metrics.py of its version 1).
#ifndef FASTKV_EVAL_SCORERS_LONGBENCH_SCORES_H_
#define FASTKV_EVAL_SCORERS_LONGBENCH_SCORES_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "eval/scorers/code_similarity.h"
#include "eval/scorers/rouge_l.h"

namespace fastkv {

enum class LongBenchMetric {
  kF1,
  kChineseF1,
  kRougeL,
  kChineseRougeL,
  kClassification,
  kCount,
  kRetrieval,
  kChineseRetrieval,
  kCodeSimilarity,
};

// The metric of one of the 21 data sets, or of a set of LongBench-E ("qasper_e"); nothing for an
// unknown name.
std::optional<LongBenchMetric> LongBenchMetricOf(std::string_view dataset);

// Whether only the prediction's first line (after leading newlines) counts: the few-shot sets.
bool ScoresFirstLineOnly(std::string_view dataset);

// Whether the metric cuts Chinese text into words.
bool NeedsSegmenter(LongBenchMetric metric);

struct LongBenchScoreParams {
  std::string_view dataset;                   // a known one
  std::string_view prediction;                // UTF-8
  std::span<const std::string> answers;       // UTF-8
  std::span<const std::string> all_classes;   // of classification sets
  const JiebaSegmenter* segmenter = nullptr;  // where NeedsSegmenter
  EditRatio edit_ratio = EditRatio::kDifflib;
  RougeLOptions rouge;
};

// The greatest score over the answers, 0 to 1; 0 for none. Errors: kFormat for an answer that the
// metric cannot read; kLimit for texts too long to compare. Thread-safe.
Result<double> LongBenchScore(const LongBenchScoreParams& params);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_LONGBENCH_SCORES_H_
