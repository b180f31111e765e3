// Tasks of a public benchmark as a suite of `fastkv eval`.
#ifndef FASTKV_EVAL_SUITES_BENCHMARK_SUITE_H_
#define FASTKV_EVAL_SUITES_BENCHMARK_SUITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "eval/suite.h"
#include "eval/suites/benchmark_prompt.h"
#include "eval/suites/benchmark_task.h"

namespace fastkv {

struct BenchmarkSuiteTask {
  std::string name;
  int64_t length_tokens = 0;      // nominal; 0: the data decide
  int64_t max_prompt_tokens = 0;  // a longer prompt is cut
  std::unique_ptr<BenchmarkTask> samples;
};

struct BenchmarkSuiteParams {
  std::string profile_name;  // of the results
  BenchmarkProfile profile = BenchmarkProfile::kOfficial;
  std::vector<BenchmarkSuiteTask> tasks;
  std::vector<std::string> tasks_left_out;  // for want of a dictionary
};

// The first `options.num_samples` samples of each task that are what the benchmark has, all where
// that is 0; lines that are not are left out and counted in the settings. Errors: kFormat when a
// task has no sample at all, naming what is wrong with its first line.
Result<std::unique_ptr<Suite>> MakeBenchmarkSuite(const SuiteOptions& options,
                                                  BenchmarkSuiteParams params);

// The profile that the options name, `official` where they name none. Errors: kInvalidArgument.
Result<BenchmarkProfile> ProfileOf(const SuiteOptions& options);

// Errors: kInvalidArgument where no folder with the benchmark's data was given.
Status CheckHasData(const SuiteOptions& options, std::string_view benchmark);
// Errors: kInvalidArgument where lengths or depths were given to a benchmark that has none.
Status CheckHasNoLengths(const SuiteOptions& options, std::string_view benchmark);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_BENCHMARK_SUITE_H_
