#include "eval/prefill_groups.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "engine/shared_pass.h"
#include "method/method.h"

namespace fastkv {
namespace {

Result<PrefillPlan> PlanOf(const ModelConfig& config, const EvalRun& run, int64_t prompt_tokens) {
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> method,
                          CreateMethod(run.method, ShapeOf(config)));
  return method->Plan(prompt_tokens);
}

}  // namespace

std::vector<PrefillGroup> GroupRuns(const ModelConfig& config, std::span<const EvalRun> runs,
                                    int64_t prompt_tokens, int64_t context_tokens) {
  std::vector<PrefillGroup> groups;
  std::vector<std::vector<PrefillPlan>> plans;  // [groups]
  for (size_t i = 0; i < runs.size(); ++i) {
    const bool reads_context = runs[i].shares_context && context_tokens > 0;
    Result<PrefillPlan> plan =
        PlanOf(config, runs[i], reads_context ? context_tokens : prompt_tokens);
    size_t group = groups.size();
    if (plan.ok()) {
      const auto fits = [&](const std::vector<PrefillPlan>& others) {
        return !others.empty() && others.front().prompt_tokens == plan->prompt_tokens &&
               std::all_of(others.begin(), others.end(),
                           [&](const PrefillPlan& other) { return CanReadTogether(other, *plan); });
      };
      group = static_cast<size_t>(std::find_if(plans.begin(), plans.end(), fits) - plans.begin());
    }
    if (group == groups.size()) {
      groups.push_back({.runs = {}, .flops = 0, .reads_context = reads_context});
      plans.emplace_back();
    }
    groups[group].runs.push_back(i);
    if (plan.ok()) plans[group].push_back(std::move(plan).value());
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    if (plans[i].empty()) continue;
    const PrefillPlan pass = CommonPass(plans[i]);
    groups[i].flops = PrefillFlops(config, pass, LastLayerRows(pass));
  }
  return groups;
}

}  // namespace fastkv
