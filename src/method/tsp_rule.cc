// Token-selective propagation: after one layer only so many tokens go on, those with the largest
// pooled window score over all heads and the window itself. Source: FastKV (arXiv 2502.01068).
#include <algorithm>

#include "method/rules.h"

namespace fastkv {
namespace {

class TspSelector final : public Selector {
 public:
  TspSelector(int64_t window, int64_t kernel, PoolingKind pooling)
      : window_(window), kernel_(kernel), pooling_(pooling) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    if (selection.token_indices.empty()) return OkStatus();
    const int64_t tokens_out = plan.layers[layer].tokens_out;
    observation.SelectTop(observation.TokenScores(window_, kernel_, pooling_), window_,
                          TensorView(selection.token_indices.data(), DType::kI32, {1, tokens_out}));
    return OkStatus();
  }

 private:
  int64_t window_;
  int64_t kernel_;
  PoolingKind pooling_;
};

class TspRule final : public PropagationRule {
 public:
  TspRule(const MethodConfig& config, int64_t layer)
      : layer_(layer),
        budget_(config.tsp),
        window_(WindowOf(config)),
        kernel_(config.kernel),
        pooling_(config.pooling) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const int64_t tokens = std::max(budget_.Of(request.tokens_in), window_);
    if (request.layer != layer_ || tokens >= request.tokens_in) return {};
    return {.tokens = tokens, .min_tokens = window_, .observation = {.query_rows = window_}};
  }

  std::optional<double> Share() const override {
    if (budget_.tokens.has_value()) return std::nullopt;
    return budget_.rate;
  }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<TspSelector>(window_, kernel_, pooling_);
  }

 private:
  int64_t layer_;
  Budget budget_;
  int64_t window_;
  int64_t kernel_;
  PoolingKind pooling_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateTspRule(const MethodConfig& config, int64_t layer) {
  return std::make_unique<TspRule>(config, layer);
}

}  // namespace fastkv
