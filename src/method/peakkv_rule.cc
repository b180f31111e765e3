// PeakKV's retention (ours). An entry counts for as much as the window token that looks at it
// hardest: the largest probability of the window's rows, not their sum, so that a question of three
// parts finds three places however its other words look around, and a window wider than the
// question does no harm. The window covers a question, and the pooling an answer's whole span.
// Layers up to the TSP layer, which every token still passes, share most of the budget, since that
// is where what is dropped is missed; a layer's heads share its budget as they score.
// docs/methods.md has what each part gives.
#include <algorithm>

#include "method/rules.h"
#include "method/unequal_heads.h"

namespace fastkv {
namespace {

constexpr int64_t kWindow = 32;
constexpr int64_t kKernel = 31;
// Layers behind the TSP layer get one part in so many of the uniform budget.
constexpr int64_t kLateDivisor = 4;

class PeakKvRule final : public RetentionRule {
 public:
  PeakKvRule(const MethodConfig& config, const ModelShape& shape)
      : window_(config.window.value_or(kWindow)),
        kernel_(config.kernel.value_or(kKernel)),
        pooling_(config.pooling.value_or(PoolingKind::kMax)),
        alpha_(config.adakv_alpha),
        num_early_(std::min(TspLayerOf(config, shape) + 1, shape.num_layers)),
        num_late_(shape.num_layers - num_early_) {}

  int64_t TailTokens() const override { return window_; }
  bool UnequalHeads() const override { return true; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.query_rows = window_}; }

  int64_t LayerCapacity(const LayerBudget& budget) const override {
    const int64_t capacity = budget.capacity;
    if (capacity >= budget.prompt_tokens || num_early_ <= 0) return capacity;
    const int64_t late = std::max(capacity / kLateDivisor, window_);
    if (budget.layer >= num_early_) return late;
    return capacity + (capacity - late) * num_late_ / num_early_;
  }

  Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                       Selection& selection) const override {
    const TensorView scores =
        observation.GroupScores(window_, kernel_, pooling_, ReductionKind::kMax);
    return SelectUnequalHeads(scores, layer.kv_len, window_, alpha_, observation, selection);
  }

 private:
  int64_t window_;
  int64_t kernel_;
  PoolingKind pooling_;
  double alpha_;
  int64_t num_early_;  // layers up to the TSP layer
  int64_t num_late_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreatePeakKvRule(const MethodConfig& config,
                                                const ModelShape& shape) {
  return std::make_unique<PeakKvRule>(config, shape);
}

}  // namespace fastkv
