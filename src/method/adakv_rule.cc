// AdaKV's retention: the layer's whole budget is shared out among its KV heads by how many of the
// layer's best entries each holds; every head then keeps its own best entries and the window.
// Source: arXiv 2407.11550, with KV heads (means over their query heads) as units.
#include "method/rules.h"
#include "method/unequal_heads.h"

namespace fastkv {
namespace {

class AdaKvRule final : public RetentionRule {
 public:
  explicit AdaKvRule(const MethodConfig& config)
      : window_(WindowOf(config)),
        kernel_(KernelOf(config)),
        pooling_(PoolingOf(config)),
        alpha_(config.adakv_alpha) {}

  int64_t TailTokens() const override { return window_; }
  bool UnequalHeads() const override { return true; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.query_rows = window_}; }

  Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                       Selection& selection) const override {
    return SelectUnequalHeads(observation.PooledGroupMeans(window_, kernel_, pooling_),
                              layer.kv_len, window_, alpha_, observation, selection);
  }

 private:
  int64_t window_;
  int64_t kernel_;
  PoolingKind pooling_;
  double alpha_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreateAdaKvRule(const MethodConfig& config,
                                               const ModelShape& /*shape*/) {
  return std::make_unique<AdaKvRule>(config);
}

}  // namespace fastkv
