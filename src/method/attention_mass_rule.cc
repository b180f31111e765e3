// Token-selective propagation of as many tokens as hold most of the window's attention, or as its
// entropy says (method/propagation/attention_mass.h); which ones is FastKV's choice. Ours.
#include <algorithm>
#include <vector>

#include "method/adaptive_rules.h"
#include "method/host_scores.h"
#include "method/propagation/attention_mass.h"
#include "method/protected_tokens.h"
#include "method/window_options.h"

namespace fastkv {
namespace {

struct MassOptions {
  int64_t layer = 0;
  bool by_entropy = false;
  double mass = 0;
  double entropy_factor = 0;
  double min_rate = 0;
  WindowOptions window;

  // Protected tokens need room whatever the attention says.
  int64_t MinTokens(const PrefillPlan& plan) const {
    return std::max(Budget::ShareOf(plan.prompt_tokens, min_rate),
                    TokensNeeded(plan.protected_tokens, plan.prompt_tokens, window.window));
  }
};

class AttentionMassSelector final : public Selector {
 public:
  explicit AttentionMassSelector(const MassOptions& options) : options_(options) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    const LayerPlan& layer_plan = plan.layers[layer];
    if (layer != options_.layer || !layer_plan.cut_is_open) return OkStatus();
    // A factor common to all scores changes neither shares nor entropy.
    FASTKV_ASSIGN_OR_RETURN(
        const std::vector<double> scores,
        ReadScores(observation.backend(), observation.HeadMeans(options_.window.window)));
    const int64_t counted = options_.by_entropy
                                ? TokensOfEntropy(AttentionEntropy(scores), options_.entropy_factor)
                                : TokensHoldingMass(scores, options_.mass);
    const int64_t most = layer_plan.cut_tokens;
    selection.tokens_out = PropagatedCount({.tokens_in = layer_plan.tokens_in,
                                            .window = options_.window.window,
                                            .counted = counted,
                                            .factor = 1,
                                            .min_tokens = std::min(most, options_.MinTokens(plan)),
                                            .max_tokens = most});
    observation.SelectTop(
        options_.window.TokenScores(observation), options_.window.window,
        TensorView(selection.token_indices.data(), DType::kI32, {1, selection.tokens_out}));
    return OkStatus();
  }

 private:
  MassOptions options_;
};

class AttentionMassRule final : public PropagationRule {
 public:
  AttentionMassRule(const MassOptions& options, const Budget& most)
      : options_(options), most_(most) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const int64_t tokens = std::max(most_.Of(request.tokens_in), options_.window.window);
    if (request.layer != options_.layer || tokens >= request.tokens_in) return {};
    return {.tokens = tokens,
            .min_tokens = options_.window.window,
            .open = true,
            .observation = {.query_rows = options_.window.window}};
  }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<AttentionMassSelector>(options_);
  }

 private:
  MassOptions options_;
  Budget most_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateAttentionMassRule(const MethodConfig& config,
                                                         int64_t layer) {
  const PropagationConfig& propagation = config.propagation;
  return std::make_unique<AttentionMassRule>(
      MassOptions{.layer = layer,
                  .by_entropy = propagation.rule == "entropy",
                  .mass = propagation.mass,
                  .entropy_factor = propagation.entropy_factor,
                  .min_rate = propagation.min_rate,
                  .window = WindowOptions::Of(config)},
      TspBudgetOf(config));
}

}  // namespace fastkv
