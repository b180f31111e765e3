// What the runs of an evaluation took: timings.jsonl, apart from the results, since no two runs
// take the same time.
#ifndef FASTKV_EVAL_TIMING_LOG_H_
#define FASTKV_EVAL_TIMING_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "io/file.h"

namespace fastkv {

struct EvalTiming {
  int64_t sample = 0;
  std::string run;
  int64_t length = 0;
  double prefill_ms = 0;  // of the whole prefill, where several runs share it
  int64_t runs_in_prefill = 1;
  double decode_ms_per_token = 0;
};

// While one lives, no other process can open the same log: it also guards the folder.
class TimingLog {
 public:
  // Errors: kInvalidArgument (another process has it open), kIo.
  static Result<TimingLog> Open(FileSystem& files, const std::string& folder);
  Status Append(const EvalTiming& timing);

 private:
  explicit TimingLog(std::unique_ptr<AppendFile> file) : file_(std::move(file)) {}
  std::unique_ptr<AppendFile> file_;
};

// The timings of a folder in the order of samples; of a result that was run twice because a run
// was killed in between, the last. Lines that were cut off are left out. Errors: those of reading.
Result<std::vector<EvalTiming>> ReadTimings(FileSystem& files, const std::string& folder);

Status WriteTimings(FileSystem& files, const std::string& folder,
                    const std::vector<EvalTiming>& timings);

// timings.csv: medians for each run and length, in the order of `runs`.
std::string TimingTable(const std::vector<EvalTiming>& timings,
                        const std::vector<std::string>& runs);

}  // namespace fastkv

#endif  // FASTKV_EVAL_TIMING_LOG_H_
