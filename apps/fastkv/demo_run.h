// The runs behind `fastkv demo`: questions over one long context, each answered with the full
// context and with a method.
#ifndef FASTKV_APPS_DEMO_RUN_H_
#define FASTKV_APPS_DEMO_RUN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/prefill.h"
#include "eval/selection_page.h"
#include "method/method_config.h"
#include "method/prefill_plan.h"

namespace fastkv {

struct DemoRunOptions {
  MethodConfig method;
  int64_t context_tokens = 0;
  int64_t max_questions = 0;  // at least one is asked
  double time_budget_ms = 0;  // no further question is begun that would go beyond it
  uint64_t seed = 0;
  const CancelFlag* cancel = nullptr;  // may be null
  // `run` names what is being worked on ("question 1, FastKV"). May be null.
  std::function<void(const std::string& run, const PrefillProgress& progress)> on_progress;
};

// Everything that the table and the page show, but `command`. Errors: those of making the prompt,
// of Prefill and of Decode; kCancelled.
Result<SelectionPageData> RunDemoQuestions(const Engine& engine, const DemoRunOptions& options);

// What tables and pages call a method ("FastKV"), and its settings as they came out, as one phrase.
std::string DemoMethodName(const MethodConfig& method);
std::string DemoMethodText(const std::string& method_name, const PrefillPlan& plan);

}  // namespace fastkv

#endif  // FASTKV_APPS_DEMO_RUN_H_
