// Token-selective propagation: after a layer only so many tokens go on, those with the largest
// pooled window score over all heads and the window itself. Source: FastKV (arXiv 2502.01068),
// which cuts once; the schedule of several cuts is that of `hfastkv` in
// https://github.com/BradMcDanel/kv-exps.
#include <algorithm>
#include <utility>
#include <vector>

#include "method/adaptive_rules.h"
#include "method/rules.h"
#include "method/window_options.h"

namespace fastkv {
namespace {

class TspSelector final : public Selector {
 public:
  explicit TspSelector(const WindowOptions& window) : window_(window) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    if (selection.token_indices.empty()) return OkStatus();
    const int64_t tokens_out = plan.layers[layer].tokens_out;
    observation.SelectTop(window_.TokenScores(observation), window_.window,
                          TensorView(selection.token_indices.data(), DType::kI32, {1, tokens_out}));
    return OkStatus();
  }

 private:
  WindowOptions window_;
};

struct Cut {
  int64_t layer = 0;
  Budget budget;  // of the prompt
};

class TspRule final : public PropagationRule {
 public:
  TspRule(const MethodConfig& config, std::vector<Cut> cuts)
      : cuts_(std::move(cuts)), window_(WindowOptions::Of(config)) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const auto cut = std::find_if(cuts_.begin(), cuts_.end(), [&](const Cut& candidate) {
      return candidate.layer == request.layer;
    });
    if (cut == cuts_.end()) return {};
    const int64_t tokens = std::max(cut->budget.Of(request.prompt_tokens), window_.window);
    if (tokens >= request.tokens_in) return {};
    return {.tokens = tokens,
            .min_tokens = window_.window,
            .observation = {.query_rows = window_.window}};
  }

  std::optional<double> Share() const override {
    if (cuts_.size() > 1 || cuts_[0].budget.tokens.has_value()) return std::nullopt;
    return cuts_[0].budget.rate;
  }

  bool FallsGradually() const override { return cuts_.size() > 1; }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<TspSelector>(window_);
  }

 private:
  std::vector<Cut> cuts_;
  WindowOptions window_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreateTspRule(const MethodConfig& config, int64_t layer) {
  return std::make_unique<TspRule>(config, std::vector<Cut>{{layer, TspBudgetOf(config)}});
}

std::unique_ptr<PropagationRule> CreateScheduleRule(const MethodConfig& config) {
  std::vector<Cut> cuts;
  for (size_t i = 0; i < config.propagation.layers.size(); ++i) {
    cuts.push_back({config.propagation.layers[i], Budget::Rate(config.propagation.rates[i])});
  }
  return std::make_unique<TspRule>(config, std::move(cuts));
}

}  // namespace fastkv
