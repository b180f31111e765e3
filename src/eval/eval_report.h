// All files that tell people and programs what an evaluation found, from its results alone.
#ifndef FASTKV_EVAL_EVAL_REPORT_H_
#define FASTKV_EVAL_EVAL_REPORT_H_

#include <span>
#include <string>

#include "base/status.h"
#include "eval/eval_manifest.h"
#include "eval/eval_record.h"
#include "io/file.h"
#include "io/json.h"

namespace fastkv {

// Writes summary.json, summary.csv, summary.md, report.html and timings.csv into `folder`; returns
// the content of summary.json. Errors: those of reading timings and of writing.
Result<Json> WriteEvalReports(FileSystem& files, const std::string& folder,
                              const EvalManifest& manifest, std::span<const EvalRecord> records);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_REPORT_H_
