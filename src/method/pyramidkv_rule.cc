// PyramidKV's retention: SnapKV's scores with a budget that falls linearly from the first layer to
// the last, about the same in sum. Source: arXiv 2406.02069; the budgets are those of its published
// code, whose rounding leaves the total slightly above the uniform one.
#include <algorithm>

#include "method/rules.h"

namespace fastkv {
namespace {

class PyramidKvRule final : public RetentionRule {
 public:
  PyramidKvRule(const MethodConfig& config, const ModelShape& shape)
      : scores_(CreateSnapKvRule(config, shape)),
        window_(WindowOf(config)),
        beta_(config.pyramid_beta),
        num_layers_(shape.num_layers) {}

  int64_t TailTokens() const override { return window_; }
  Observation Wanted(int64_t tokens) const override { return scores_->Wanted(tokens); }

  int64_t LayerCapacity(const LayerBudget& layer_budget) const override {
    const auto& [layer, prompt_tokens, tokens, capacity] = layer_budget;
    if (tokens <= capacity || num_layers_ < 2) return capacity;
    const int64_t budget = capacity - window_;
    if (tokens < 2 * budget) return capacity;
    int64_t smallest = budget / beta_;
    int64_t largest = 2 * budget - smallest;
    if (largest >= tokens - window_) {
      largest = tokens - window_;
      smallest = 2 * budget - largest;
    }
    const int64_t step = (largest - smallest) / (num_layers_ - 1);
    return largest - layer * step + window_;
  }

  Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                       Selection& selection) const override {
    return scores_->SelectEntries(layer, observation, selection);
  }

 private:
  std::unique_ptr<RetentionRule> scores_;
  int64_t window_;
  int64_t beta_;
  int64_t num_layers_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreatePyramidKvRule(const MethodConfig& config,
                                                   const ModelShape& shape) {
  return std::make_unique<PyramidKvRule>(config, shape);
}

}  // namespace fastkv
