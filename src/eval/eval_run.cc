#include "eval/eval_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "method/method.h"
#include "method/query_agnostic.h"

namespace fastkv {
namespace {

// Long enough that every budget drops something.
constexpr int64_t kProbeTokens = 1 << 20;

bool HaveEqualPlans(const PrefillPlan& a, const PrefillPlan& b) {
  return std::equal(a.layers.begin(), a.layers.end(), b.layers.begin(), b.layers.end(),
                    [](const LayerPlan& x, const LayerPlan& y) {
                      return x.tokens_in == y.tokens_in && x.kv_len == y.kv_len &&
                             x.tokens_out == y.tokens_out;
                    });
}

// Whether the method does something else with a larger budget.
Result<bool> DependsOnBudget(const MethodConfig& config, const ModelShape& shape) {
  std::vector<PrefillPlan> plans;
  for (const double rate : {0.25, 0.5}) {
    MethodConfig probe = config;
    probe.kv = Budget::Rate(rate);
    FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> method, CreateMethod(probe, shape));
    FASTKV_ASSIGN_OR_RETURN(PrefillPlan plan, method->Plan(kProbeTokens));
    plans.push_back(std::move(plan));
  }
  return !HaveEqualPlans(plans[0], plans[1]);
}

std::string BudgetText(const Budget& budget) {
  return budget.tokens ? std::to_string(*budget.tokens) : fmt::format("{:g} %", 100 * budget.rate);
}

Json BudgetJson(const Budget& budget) {
  Json json;
  if (budget.tokens) {
    json["tokens"] = *budget.tokens;
  } else {
    json["rate"] = budget.rate;
  }
  return json;
}

}  // namespace

Result<std::vector<EvalRun>> MakeEvalRuns(std::span<const std::string> methods,
                                          std::span<const Budget> budgets, const MethodConfig& base,
                                          const ModelShape& shape) {
  std::vector<EvalRun> runs;
  for (const std::string& name : methods) {
    for (const Budget& budget : budgets) {
      EvalRun run{.label = name, .method = base, .has_budget = false};
      run.method.name = name;
      run.method.kv = budget;
      FASTKV_RETURN_IF_ERROR(CreateMethod(run.method, shape).status());
      FASTKV_ASSIGN_OR_RETURN(run.has_budget, DependsOnBudget(run.method, shape));
      if (run.has_budget) run.label += " " + BudgetText(budget);
      const bool is_there = std::any_of(
          runs.begin(), runs.end(), [&](const EvalRun& other) { return other.label == run.label; });
      if (is_there && (run.has_budget || &budget == &budgets.front())) {
        return InvalidArgumentError("expected different methods and budgets, but '" + run.label +
                                    "' is there twice");
      }
      if (!is_there) runs.push_back(std::move(run));
    }
  }
  return runs;
}

Status ShareContexts(std::span<EvalRun> runs, const ModelShape& shape) {
  for (EvalRun& run : runs) {
    FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> method, CreateMethod(run.method, shape));
    FASTKV_ASSIGN_OR_RETURN(const PrefillPlan plan, method->Plan(kProbeTokens));
    run.shares_context = IsQueryAgnostic(plan);
  }
  return OkStatus();
}

Json RunSettings(const EvalRun& run) {
  const MethodConfig& method = run.method;
  const auto or_null = [](const std::optional<int64_t>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  Json json;
  json["label"] = run.label;
  json["method"] = method.name;
  json["kv"] = run.has_budget ? BudgetJson(method.kv) : Json(nullptr);
  json["tsp"] = method.tsp ? BudgetJson(*method.tsp) : Json(nullptr);
  json["tsp_layer"] = or_null(method.tsp_layer);
  json["propagate"] = method.propagate;
  json["retention"] = method.retention;
  json["window"] = or_null(method.window);
  json["kernel"] = or_null(method.kernel);
  json["pooling"] = !method.pooling                        ? Json(nullptr)
                    : *method.pooling == PoolingKind::kMax ? Json("max")
                                                           : Json("avg");
  json["sinks"] = method.sinks;
  json["filter_layer"] = or_null(method.filter_layer);
  json["recent_ratio"] = method.recent_ratio;
  json["decay_ratio"] = method.decay_ratio;
  json["decode_eviction"] = method.decode_eviction;
  json["pyramid_beta"] = method.pyramid_beta;
  json["adakv_alpha"] = method.adakv_alpha;
  json["future_positions"] = method.future_positions;
  json["protect_first"] = method.protect_first;
  json["protect_last"] = method.protect_last;
  json["protect"] = Json::array();
  for (const PromptSpan& span : method.protect) {
    json["protect"].push_back(Json::array({span.begin, span.end}));
  }
  if (run.shares_context) json["shares_context"] = true;
  return json;
}

}  // namespace fastkv
