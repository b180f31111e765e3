// The results of an evaluation on disk: samples.jsonl, one line for each (sample, run), in one
// order that does not depend on where a run was stopped.
#ifndef FASTKV_EVAL_RESULT_LOG_H_
#define FASTKV_EVAL_RESULT_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "eval/eval_record.h"
#include "io/file.h"

namespace fastkv {

inline constexpr std::string_view kResultFile = "samples.jsonl";

struct ResultLines {
  std::vector<EvalRecord> records;
  uint64_t num_bytes = 0;     // of the file up to the end of the last whole line
  bool has_torn_end = false;  // what follows was cut off while it was written
};

// Reads the file. A last line that is incomplete or damaged is left out: a run that was killed may
// leave one. Errors: kFormat, with the line, for damage before that; those of reading.
Result<ResultLines> ReadResultLines(FileSystem& files, const std::string& path);

// Appends results, each durable before the call returns. Not thread-safe.
class ResultLog {
 public:
  // Opens the file, or makes it. What a killed run left of its last line is cut off: then
  // `has_torn_end` is true. Errors: as ReadResultLines, and those of writing.
  static Result<ResultLog> Open(FileSystem& files, const std::string& path);

  const std::vector<EvalRecord>& records() const { return records_; }
  bool had_torn_end() const { return had_torn_end_; }
  // Errors: kIo; then the file may hold a torn line, which the next Open cuts off.
  Status Append(EvalRecord record);

 private:
  ResultLog() = default;

  std::vector<EvalRecord> records_;
  bool had_torn_end_ = false;
  std::unique_ptr<AppendFile> file_;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_RESULT_LOG_H_
