// Token-selective propagation behind a layer that is chosen for each prompt: the first behind which
// the order of its tokens has become stable (method/propagation/rank_agreement.h). Source: ASL.
#include <algorithm>
#include <vector>

#include "method/adaptive_rules.h"
#include "method/host_scores.h"
#include "method/propagation/rank_agreement.h"
#include "method/propagation/ranking.h"
#include "method/window_options.h"

namespace fastkv {
namespace {

class RankAgreementSelector final : public Selector {
 public:
  RankAgreementSelector(const RankAgreementOptions& options, const WindowOptions& window)
      : first_layer_(options.first_layer), agreement_(options), window_(window) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    // Layers before the first candidate are read for its sake.
    const bool is_open = plan.layers[std::max(layer, first_layer_)].cut_is_open;
    if (!is_open || !agreement_.Reads(layer)) return OkStatus();
    FASTKV_ASSIGN_OR_RETURN(std::vector<double> scores,
                            ReadScores(observation.backend(), window_.TokenScores(observation)));
    const LayerPlan& layer_plan = plan.layers[layer];
    const int64_t count = layer_plan.cut_tokens - window_.window;
    const bool cuts = agreement_.Observe(layer, scores, count);
    if (layer < first_layer_) return OkStatus();
    selection.tokens_out = layer_plan.tokens_in;
    if (!cuts) return OkStatus();
    RaiseProtected(observation.inputs(), scores);
    return WriteTokens(observation.backend(), SelectLargest(scores, count, window_.window),
                       selection);
  }

 private:
  int64_t first_layer_;
  RankAgreement agreement_;
  WindowOptions window_;
};

class RankAgreementRule final : public PropagationRule {
 public:
  RankAgreementRule(const MethodConfig& config, const RankAgreementOptions& options)
      : options_(options), budget_(TspBudgetOf(config)), window_(WindowOptions::Of(config)) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const int64_t tokens = std::max(budget_.Of(request.prompt_tokens), window_.window);
    if (tokens >= request.tokens_in) return {};
    if (!RankAgreement(options_).Reads(request.layer)) return {};
    const Observation observation{.query_rows = window_.window};
    if (request.layer < options_.first_layer) return {.observation = observation};
    return {
        .tokens = tokens, .min_tokens = window_.window, .open = true, .observation = observation};
  }

  std::optional<double> Share() const override {
    if (budget_.tokens.has_value()) return std::nullopt;
    return budget_.rate;
  }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<RankAgreementSelector>(options_, window_);
  }

 private:
  RankAgreementOptions options_;
  Budget budget_;
  WindowOptions window_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateRankAgreementRule(const MethodConfig& config,
                                                         const ModelShape& shape) {
  return std::make_unique<RankAgreementRule>(config, RankAgreementOptionsOf(config, shape));
}

}  // namespace fastkv
