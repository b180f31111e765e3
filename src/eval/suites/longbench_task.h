// LongBench (version 1, arXiv 2308.14508) from the user's copy of its repository and data.
#ifndef FASTKV_EVAL_SUITES_LONGBENCH_TASK_H_
#define FASTKV_EVAL_SUITES_LONGBENCH_TASK_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "eval/suites/benchmark_task.h"
#include "io/file.h"

namespace fastkv {

// The 21 data sets, in the order of the benchmark's table.
std::span<const std::string_view> LongBenchDatasets();

// `folder` holds dataset2prompt.json and dataset2maxlen.json, itself or in config/ or
// LongBench/config/, and <dataset>.jsonl, itself or in data/. A name that ends in "_e" is a set of
// LongBench-E, with the prompt of the set without that ending.
// Errors: those of FileSystem; kInvalidArgument for an unknown set; kFormat for configuration files
// that lack it.
Result<std::unique_ptr<BenchmarkTask>> OpenLongBenchTask(FileSystem& files,
                                                         const std::string& folder,
                                                         const std::string& dataset,
                                                         BenchmarkProfile profile);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_LONGBENCH_TASK_H_
