// SnapKV's retention with grouped heads: the `capacity - window` entries with the largest pooled
// window score, summed over the query heads of each KV head, and the window itself. Source: FastKV
// (arXiv 2502.01068) section on KV retention; SnapKV selects per query head where we select per KV
// head.
#include "method/rules.h"

namespace fastkv {
namespace {

class SnapKvRule final : public RetentionRule {
 public:
  explicit SnapKvRule(const MethodConfig& config)
      : window_(WindowOf(config)), kernel_(KernelOf(config)), pooling_(PoolingOf(config)) {}

  int64_t TailTokens() const override { return window_; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.query_rows = window_}; }

  Status SelectEntries(const LayerPlan& /*layer*/, LayerObservation& observation,
                       Selection& selection) const override {
    observation.SelectTop(observation.GroupScores(window_, kernel_, pooling_), window_,
                          selection.kv_indices);
    return OkStatus();
  }

 private:
  int64_t window_;
  int64_t kernel_;
  PoolingKind pooling_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreateSnapKvRule(const MethodConfig& config,
                                                const ModelShape& /*shape*/) {
  return std::make_unique<SnapKvRule>(config);
}

}  // namespace fastkv
