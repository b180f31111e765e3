// Tokens chosen behind fixed layers by the last query's raw scores
// (method/propagation/query_selection.h). Source: PromptDistill; cutting the caches of earlier
// layers too, which it offers, is left to the retention rule.
#include <algorithm>
#include <utility>
#include <vector>

#include "method/adaptive_rules.h"
#include "method/host_scores.h"
#include "method/propagation/query_selection.h"
#include "method/propagation/ranking.h"
#include "method/rules.h"

namespace fastkv {
namespace {

constexpr int64_t kKernel = 5;

class QuerySelectionSelector final : public Selector {
 public:
  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    if (selection.token_indices.empty()) return OkStatus();
    // Summed over the heads and not scaled: a common factor changes no order.
    FASTKV_ASSIGN_OR_RETURN(
        const std::vector<double> scores,
        ReadScores(observation.backend(),
                   observation.PooledQueryScores(/*kernel=*/1, PoolingKind::kAverage)));
    std::vector<double> pooled = PooledQueryScores(scores, kKernel);
    pooled.pop_back();  // the last token goes on for sure
    RaiseProtected(observation.inputs(), pooled);
    const int64_t count = plan.layers[layer].tokens_out - 1;
    return WriteTokens(observation.backend(), SelectLargest(pooled, count, /*tail=*/1), selection);
  }
};

class QuerySelectionRule final : public PropagationRule {
 public:
  QuerySelectionRule(const MethodConfig& config, std::vector<int64_t> layers)
      : budget_(TspBudgetOf(config)), layers_(std::move(layers)) {}

  LayerCut CutAt(const CutRequest& request) const override {
    if (!std::binary_search(layers_.begin(), layers_.end(), request.layer)) return {};
    const int64_t tokens = std::max<int64_t>(budget_.Of(request.tokens_in), 1);
    if (tokens >= request.tokens_in) return {};
    return {.tokens = tokens, .min_tokens = 1, .observation = {.query_rows = 1}};
  }

  std::optional<double> Share() const override {
    if (budget_.tokens.has_value() || layers_.size() > 1) return std::nullopt;
    return budget_.rate;
  }

  bool FallsGradually() const override { return layers_.size() > 1; }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<QuerySelectionSelector>();
  }

 private:
  Budget budget_;
  std::vector<int64_t> layers_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateQuerySelectionRule(const MethodConfig& config,
                                                          const ModelShape& shape) {
  return std::make_unique<QuerySelectionRule>(config, CutLayersOf(config, shape));
}

}  // namespace fastkv
