// Runs an evaluation into a folder, so that it can be stopped at any moment, even by kill -9, and
// goes on where it stopped. At the end the folder holds, byte for byte, what a run without a break
// writes; times alone differ, and stand in files of their own:
//
//   manifest.json    what was run (eval_manifest.h)
//   samples.jsonl    a line for each sample and run (result_log.h)
//   summary.json, summary.csv, summary.md, report.html    written at the end (eval_report.h)
//   timings.jsonl, timings.csv
#ifndef FASTKV_EVAL_EVAL_RUNNER_H_
#define FASTKV_EVAL_EVAL_RUNNER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "eval/eval_manifest.h"
#include "eval/eval_run.h"
#include "eval/prompt_runner.h"
#include "eval/suite.h"
#include "io/file.h"
#include "io/json.h"

namespace fastkv {

struct EvalProgress {
  int64_t done_results = 0;  // those of earlier runs included
  int64_t total_results = 0;
  double share = 0;  // of the work that was left when this run began
  std::string task;
};

struct EvalJob {
  const SuiteEntry* entry = nullptr;
  const Suite* suite = nullptr;
  std::vector<EvalRun> runs;
  EvalManifest manifest;
  const JiebaSegmenter* segmenter = nullptr;             // as SuiteOptions::segmenter
  const CancelFlag* cancel = nullptr;                    // may be null
  std::function<void(const EvalProgress&)> on_progress;  // may be null
  std::function<void(const std::string& note)> on_note;  // what a user should know; may be null
};

// Runs what is missing in `folder`, which is made where it is missing, and writes the reports.
// A sample that fails is a result with an error. Returns the summary as JSON. Errors:
// kInvalidArgument (the folder holds another evaluation), kFormat (damaged results), kCancelled
// (what is done stays), kDevice, kIo.
Result<Json> RunEvaluation(FileSystem& files, const std::string& folder, const EvalJob& job,
                           PromptRunner& runner);

// Scores the results of a folder anew, without running anything, and writes results and reports
// again. `segmenter` as in SuiteOptions.
Result<Json> RescoreEvaluation(FileSystem& files, const std::string& folder,
                               const JiebaSegmenter* segmenter = nullptr);

// Puts the shards of one evaluation together, as if it had been run in one. Errors:
// kInvalidArgument (shards of different evaluations, one missing, twice or incomplete, or an output
// folder that holds another evaluation).
Result<Json> MergeEvaluations(FileSystem& files, std::span<const std::string> folders,
                              const std::string& output);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_RUNNER_H_
