// Which runs of an evaluation read a prompt together.
#ifndef FASTKV_EVAL_PREFILL_GROUPS_H_
#define FASTKV_EVAL_PREFILL_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "eval/eval_run.h"
#include "model/model_config.h"

namespace fastkv {

struct PrefillGroup {
  std::vector<size_t> runs;    // indices, ascending
  double flops = 0;            // of the pass that serves them
  bool reads_context = false;  // the pass is over the context alone
};

// Every run in one group; a run joins the first group with all of whose plans its own can share a
// pass (engine/shared_pass.h). A run that has no plan for such a prompt stands alone and costs
// nothing. Where the prompt has a context (EvalSample::context_tokens, else 0), the runs that share
// contexts are in groups of their own. The groups are in the order of their first runs.
std::vector<PrefillGroup> GroupRuns(const ModelConfig& config, std::span<const EvalRun> runs,
                                    int64_t prompt_tokens, int64_t context_tokens);

}  // namespace fastkv

#endif  // FASTKV_EVAL_PREFILL_GROUPS_H_
