// RULER samples as tasks: from files of the official generator, or generated here.
#ifndef FASTKV_EVAL_SUITES_RULER_FILES_H_
#define FASTKV_EVAL_SUITES_RULER_FILES_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/ruler/ruler_generator.h"
#include "eval/suites/benchmark_task.h"
#include "io/file.h"

namespace fastkv {

// Reads <folder>/<length>/<task>.jsonl, <folder>/<length>/<task>/validation.jsonl,
// <folder>/<task>/validation.jsonl or <folder>/<task>.jsonl, the first that is there. Records have
// `input`, `outputs` and, in files of newer generators, `answer_prefix`; older ones have the prefix
// at the end of `input`.
// Errors: those of FileSystem; kInvalidArgument for an unknown task, and for qa_1 and qa_2 in the
// profile fastkv, which leaves them out.
Result<std::unique_ptr<BenchmarkTask>> OpenRulerFile(FileSystem& files, const std::string& folder,
                                                     const std::string& task, int64_t length_tokens,
                                                     BenchmarkProfile profile);

// Samples of the generator here. Errors: kInvalidArgument as above, and those of RulerGenerator.
Result<std::unique_ptr<BenchmarkTask>> MakeRulerTask(const RulerGeneratorParams& params,
                                                     int64_t num_samples, BenchmarkProfile profile);

// One line of a file: what the official generator's records have, but for the index, which counts
// samples here.
std::string RulerJsonLine(const RulerSample& sample);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_RULER_FILES_H_
