// One result: what one run answered to one sample. Results are kept as JSON lines, each with a
// checksum, so that a line that was cut off or changed is noticed.
#ifndef FASTKV_EVAL_EVAL_RECORD_H_
#define FASTKV_EVAL_EVAL_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/suite.h"
#include "io/json.h"

namespace fastkv {

struct EvalRecord {
  int64_t sample = 0;  // index among all samples of the evaluation, over all shards
  SampleKey key;
  std::string run;  // EvalRun::label
  std::string suite;
  std::string profile;
  std::string identity;  // hash of everything that the results hang on (eval_manifest.h)

  std::optional<double> score;  // 0 to 1; nothing where the sample failed
  std::string error;            // why it failed; empty where it did not
  std::string output;
  std::vector<int32_t> output_ids;
  std::string finish;  // "end_token", "max_new_tokens", "stop_text", "context_full"

  Json expected;
  std::string question;
  std::string excerpt;
  int64_t prompt_tokens = 0;
  int64_t untruncated_tokens = 0;  // before the prompt was cut to fit; 0: not cut
  std::string prompt_hash;         // of the ids

  int64_t kv_bytes = 0;  // held after prefill, from allocations
  int64_t full_kv_bytes = 0;
  double prefill_flops = 0;  // from the plan
  double full_prefill_flops = 0;
};

// One line with its end.
std::string RecordLine(const EvalRecord& record);

// Errors: kFormat, saying what is wrong with the line. `line` comes without its end.
Result<EvalRecord> ParseRecord(std::string_view line);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_RECORD_H_
