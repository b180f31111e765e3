// Knorm's retention: the entries with the smallest key norms, which attention tends to favour. No
// queries are looked at and nothing is kept for being recent. Source: arXiv 2406.11430.
#include "method/rules.h"

namespace fastkv {
namespace {

class KnormRule final : public RetentionRule {
 public:
  int64_t TailTokens() const override { return 0; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.key_scores = true}; }

  Status SelectEntries(const LayerPlan& /*layer*/, LayerObservation& observation,
                       Selection& selection) const override {
    const TensorView scores = observation.HeadScores();
    observation.backend().KeyNormScores({.keys = observation.inputs().keys, .out = scores});
    observation.SelectTop(scores, 0, selection.kv_indices);
    return OkStatus();
  }
};

}  // namespace

std::unique_ptr<RetentionRule> CreateKnormRule(const MethodConfig& /*config*/,
                                               const ModelShape& /*shape*/) {
  return std::make_unique<KnormRule>();
}

}  // namespace fastkv
