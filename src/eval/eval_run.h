// What is compared: methods, each at one or several budgets. One column of every table.
#ifndef FASTKV_EVAL_EVAL_RUN_H_
#define FASTKV_EVAL_EVAL_RUN_H_

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/json.h"
#include "method/method_config.h"

namespace fastkv {

struct EvalRun {
  std::string label;  // "full", "snapkv 10 %", "snapkv 512"; no two runs have the same
  MethodConfig method;
  bool has_budget = false;  // false where the method keeps the same whatever the budget says
  // The context of a sample is compressed without its question, once for all questions about it.
  bool shares_context = false;
};

// Every method with every budget, methods in the outer loop. A method whose plan does not depend on
// the budget, such as `full`, is there once. `base` gives all other settings. Errors: those of
// CreateMethod; kInvalidArgument for a method or budget that is there twice.
Result<std::vector<EvalRun>> MakeEvalRuns(std::span<const std::string> methods,
                                          std::span<const Budget> budgets, const MethodConfig& base,
                                          const ModelShape& shape);

// Sets shares_context of the runs whose methods are query-agnostic (method/query_agnostic.h).
// Errors: those of CreateMethod.
Status ShareContexts(std::span<EvalRun> runs, const ModelShape& shape);

// Every setting of a run, for manifests: two runs with equal text do the same.
Json RunSettings(const EvalRun& run);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_RUN_H_
