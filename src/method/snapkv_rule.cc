// SnapKV's retention with grouped heads: the `capacity - window` entries with the largest pooled
// window score, summed over the query heads of each KV head, and the window itself. Source: FastKV
// (arXiv 2502.01068) section on KV retention; SnapKV selects per query head where we select per KV
// head.
#include "method/retention_rule.h"

namespace fastkv {
namespace {

class SnapKvRule final : public RetentionRule {
 public:
  explicit SnapKvRule(const MethodConfig& config)
      : window_(config.window), kernel_(config.kernel), pooling_(config.pooling) {}

  int64_t MinCapacity() const override { return window_; }
  int64_t WindowRows() const override { return window_; }
  Observation WantedObservation() const override { return Observation::kWindowScores; }

  Status SelectEntries(LayerObservation& observation, const TensorView& kv_indices) const override {
    observation.backend().SelectTopK({.scores = observation.GroupScores(kernel_, pooling_),
                                      .count = kv_indices.dim(1) - window_,
                                      .tail = window_,
                                      .out = kv_indices});
    return OkStatus();
  }

 private:
  int64_t window_;
  int64_t kernel_;
  PoolingKind pooling_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreateSnapKvRule(const MethodConfig& config) {
  return std::make_unique<SnapKvRule>(config);
}

}  // namespace fastkv
