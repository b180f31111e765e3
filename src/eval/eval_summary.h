// What the results of an evaluation come to: means with their intervals, for each run, task and
// length.
#ifndef FASTKV_EVAL_EVAL_SUMMARY_H_
#define FASTKV_EVAL_EVAL_SUMMARY_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/bootstrap.h"
#include "eval/eval_manifest.h"
#include "eval/eval_record.h"
#include "io/json.h"

namespace fastkv {

// A column of the table.
struct EvalColumn {
  std::string task;
  int64_t length = 0;

  bool operator==(const EvalColumn&) const = default;
};

// Scores of failed samples count 0.
struct EvalCell {
  int64_t num_samples = 0;
  int64_t num_errors = 0;
  MeanInterval score;
};

// A cell of a depth map.
struct DepthCell {
  int64_t length = 0;
  double depth = 0;  // percent
  int64_t num_samples = 0;
  double score = 0;  // mean
};

struct RunSummary {
  std::string label;
  std::string method;
  std::vector<EvalCell> cells;  // [columns]; without samples where there are no results
  MeanInterval average;         // of the columns, each counting the same
  // average - the average of the run `full`, over the samples of both, where there is such a run
  // and this is not it.
  std::optional<MeanInterval> difference;
  double kept_share = 0;   // KV memory held after prefill, of that of the full context; mean
  double flops_share = 0;  // operations of prefill, of those of the full context; mean
  int64_t num_errors = 0;
  std::vector<DepthCell> depths;  // where samples have a depth; lengths in the outer loop
};

struct EvalSummary {
  std::vector<EvalColumn> columns;  // lengths ascending in the outer loop, tasks as they came
  std::vector<RunSummary> runs;     // in the order of the results
  int64_t num_samples = 0;          // results of one run

  bool has_depths() const { return !runs.empty() && !runs.front().depths.empty(); }
};

// REQUIRES: records in the order of the result log.
EvalSummary SummariseResults(const Json& identity, std::span<const EvalRecord> records);

// summary.json.
Json SummaryJson(const EvalManifest& manifest, const EvalSummary& summary);

// One line for each run, task and length, and one for each run's average.
std::string SummaryCsv(const EvalSummary& summary);

// A table for each length: runs as rows, tasks as columns, scores in percent with their intervals.
std::string SummaryMarkdown(const EvalManifest& manifest, const EvalSummary& summary);

// "97.5", "97.5 (93.8-100)": percent, one decimal.
std::string ScoreText(double score);
std::string IntervalText(const MeanInterval& interval);
// "+1.2 (-0.4 to +2.9)".
std::string DifferenceText(const MeanInterval& difference);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_SUMMARY_H_
