// The functions of every suite, for suite_registry.cc.
#ifndef FASTKV_EVAL_SUITE_LIST_H_
#define FASTKV_EVAL_SUITE_LIST_H_

#include "eval/suite.h"

namespace fastkv {

// Questions about facts hidden in generated prose (needle_tasks.h).
Result<std::unique_ptr<Suite>> CreateNeedleSuite(const SuiteOptions& options);
Result<double> ScoreNeedleSuite(const OutputToScore& answer);

// One needle at chosen depths of a haystack: generated prose, or the essays of a published test.
Result<std::unique_ptr<Suite>> CreateNiahSuite(const SuiteOptions& options);
Result<double> ScoreNiahSuite(const OutputToScore& answer);

// RULER's tasks: from files of the official generator, or generated here (ruler/).
Result<std::unique_ptr<Suite>> CreateRulerSuite(const SuiteOptions& options);

// LongBench and InfiniteBench, from the user's copies (suites/).
Result<std::unique_ptr<Suite>> CreateLongBenchSuite(const SuiteOptions& options);
Result<std::unique_ptr<Suite>> CreateInfiniteBenchSuite(const SuiteOptions& options);

// Scores all three (scorers/score_request.h).
Result<double> ScoreBenchmark(const OutputToScore& answer);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITE_LIST_H_
