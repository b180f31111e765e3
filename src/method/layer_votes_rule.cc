// Token-selective propagation whose score comes from several layers, the TSP layer the last of them
// (method/propagation/layer_votes.h). Source: CLAA. What it keeps of the KV entries, the first
// layers' whole among them, is left to the retention rule.
#include <algorithm>
#include <vector>

#include "method/adaptive_rules.h"
#include "method/host_scores.h"
#include "method/propagation/layer_votes.h"
#include "method/propagation/ranking.h"
#include "method/window_options.h"

namespace fastkv {
namespace {

class LayerVotesSelector final : public Selector {
 public:
  LayerVotesSelector(const LayerVotesOptions& options, int64_t first_layer, int64_t layer,
                     const WindowOptions& window)
      : options_(options), first_layer_(first_layer), layer_(layer), window_(window) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    const int64_t tokens_out = plan.layers[layer_].cut_tokens;
    if (tokens_out == 0 || layer < first_layer_ || layer > layer_) return OkStatus();
    FASTKV_ASSIGN_OR_RETURN(const std::vector<double> vote, Vote(observation));
    votes_.Add(vote);
    if (layer < layer_) return OkStatus();
    std::vector<double> scores(votes_.scores().begin(), votes_.scores().end());
    RaiseProtected(observation.inputs(), scores);
    return WriteTokens(observation.backend(),
                       SelectLargest(scores, tokens_out - window_.window, window_.window),
                       selection);
  }

 private:
  Result<std::vector<double>> Vote(LayerObservation& observation) const {
    Backend& backend = observation.backend();
    // FastKV's own score, added up where FastKV does it: to the last bit the same.
    if (options_.add_heads && !options_.standard_scores) {
      return ReadScores(backend, window_.TokenScores(observation));
    }
    FASTKV_ASSIGN_OR_RETURN(const std::vector<double> groups,
                            ReadScores(backend, window_.GroupScores(observation)));
    return LayerVote(groups, observation.shape().num_kv_heads, options_);
  }

  LayerVotesOptions options_;
  int64_t first_layer_;
  int64_t layer_;
  WindowOptions window_;
  LayerVotes votes_;
};

class LayerVotesRule final : public PropagationRule {
 public:
  LayerVotesRule(const MethodConfig& config, int64_t layer, int64_t num_votes)
      : options_{.standard_scores = config.propagation.standard_scores,
                 .add_heads = config.propagation.add_heads},
        first_layer_(layer - num_votes + 1),
        layer_(layer),
        budget_(TspBudgetOf(config)),
        window_(WindowOptions::Of(config)) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const int64_t tokens = std::max(budget_.Of(request.tokens_in), window_.window);
    if (request.layer < first_layer_ || request.layer > layer_ || tokens >= request.tokens_in) {
      return {};
    }
    const Observation observation{.query_rows = window_.window};
    if (request.layer < layer_) return {.observation = observation};
    return {.tokens = tokens, .min_tokens = window_.window, .observation = observation};
  }

  std::optional<double> Share() const override {
    if (budget_.tokens.has_value()) return std::nullopt;
    return budget_.rate;
  }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<LayerVotesSelector>(options_, first_layer_, layer_, window_);
  }

 private:
  LayerVotesOptions options_;
  int64_t first_layer_;
  int64_t layer_;
  Budget budget_;
  WindowOptions window_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateLayerVotesRule(const MethodConfig& config, int64_t layer) {
  return std::make_unique<LayerVotesRule>(config, layer, VotesOf(config, layer));
}

}  // namespace fastkv
