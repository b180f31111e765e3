// Blocks of tokens without much attention are dropped at several layers, before the MLP
// (method/propagation/block_mass.h). Source: UniPrefill. How many go on is known only at each
// layer; the plan's bound is that all do.
#include <algorithm>
#include <utility>
#include <vector>

#include "method/adaptive_rules.h"
#include "method/host_scores.h"
#include "method/propagation/block_mass.h"

namespace fastkv {
namespace {

ColumnSums SumsOf(const BlockMassOptions& options, int64_t tokens_in) {
  return {.rows = options.window, .columns = tokens_in};
}

class BlockMassSelector final : public Selector {
 public:
  explicit BlockMassSelector(const BlockMassOptions& options) : options_(options) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    const LayerPlan& layer_plan = plan.layers[layer];
    if (!layer_plan.cut_is_open) return OkStatus();
    FASTKV_ASSIGN_OR_RETURN(
        const std::vector<double> scores,
        ReadScores(observation.backend(),
                   observation.SummedTokenColumns(SumsOf(options_, layer_plan.tokens_in))));
    const std::vector<int32_t> tokens =
        WithProtected(SelectByBlockMass(scores, options_), observation.inputs());
    return WriteTokens(observation.backend(), tokens, selection);
  }

 private:
  static std::vector<int32_t> WithProtected(std::vector<int32_t> tokens,
                                            const LayerInputs& inputs) {
    for (const ColumnSpan& span : inputs.protected_tokens) {
      for (int64_t token = span.begin; token < span.end; ++token) {
        tokens.push_back(static_cast<int32_t>(token));
      }
    }
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }

  BlockMassOptions options_;
};

class BlockMassRule final : public PropagationRule {
 public:
  BlockMassRule(const BlockMassOptions& options, std::vector<int64_t> layers)
      : options_(options), layers_(std::move(layers)) {}

  LayerCut CutAt(const CutRequest& request) const override {
    if (!std::binary_search(layers_.begin(), layers_.end(), request.layer)) return {};
    if (request.tokens_in <= options_.sinks + options_.window) return {};
    return {.tokens = request.tokens_in,
            .min_tokens = options_.window,
            .open = true,
            .point = CutPoint::kBeforeMlp,
            .observation = {.column_sums = {SumsOf(options_, request.tokens_in)}}};
  }

  bool FallsGradually() const override { return layers_.size() > 1; }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<BlockMassSelector>(options_);
  }

 private:
  BlockMassOptions options_;
  std::vector<int64_t> layers_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateBlockMassRule(const MethodConfig& config,
                                                     const ModelShape& shape) {
  const PropagationConfig& propagation = config.propagation;
  return std::make_unique<BlockMassRule>(BlockMassOptions{.block_tokens = propagation.block_tokens,
                                                          .sinks = propagation.block_sinks,
                                                          .window = propagation.block_window,
                                                          .mass = propagation.block_mass,
                                                          .past_only = propagation.past_only},
                                         CutLayersOf(config, shape));
}

}  // namespace fastkv
