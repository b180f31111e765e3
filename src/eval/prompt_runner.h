// The seam between the evaluation and the engine: a sample goes in, what every run answers comes
// out. Tests put a stand-in here.
#ifndef FASTKV_EVAL_PROMPT_RUNNER_H_
#define FASTKV_EVAL_PROMPT_RUNNER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "eval/eval_run.h"
#include "eval/suite.h"

namespace fastkv {

struct PromptAnswer {
  std::string output;  // up to the end token or the first stop text, without either
  std::vector<int32_t> output_ids;
  std::string finish;  // "end_token", "max_new_tokens", "stop_text", "context_full"
  int64_t kv_bytes = 0;
  int64_t full_kv_bytes = 0;
  double prefill_flops = 0;  // as if the run had its prefill, or its context, for itself
  double full_prefill_flops = 0;
  // Measured. Where runs share a prefill, each is given the time of the whole.
  double prefill_ms = 0;
  double decode_ms_per_token = 0;
  int64_t runs_in_prefill = 1;
};

class PromptRunner {
 public:
  virtual ~PromptRunner() = default;

  // One answer, or why there is none, for each of `runs` in their order, without the first
  // `num_done`, which were answered before: they are given all the same, since which runs share a
  // prefill must not depend on where an evaluation was stopped. kCancelled, kDevice and kIo mean
  // that going on is no use. `on_progress` is given the share of this call's work that is done; it
  // may be null.
  virtual std::vector<Result<PromptAnswer>> Answer(
      const EvalSample& sample, std::span<const EvalRun> runs, int64_t num_done,
      const std::function<void(double)>& on_progress) = 0;

  // The work of such a call on a prompt of this length, in operations of prefill.
  virtual double Cost(int64_t prompt_tokens, std::span<const EvalRun> runs,
                      int64_t num_done) const = 0;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_PROMPT_RUNNER_H_
