// KeyDiff's retention: the entries whose keys differ most, in angle, from the mean direction of
// their head's keys. Source: arXiv 2504.15364, over the whole prompt at once.
#include "method/rules.h"

namespace fastkv {
namespace {

class KeyDiffRule final : public RetentionRule {
 public:
  int64_t TailTokens() const override { return 0; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.key_scores = true}; }

  Status SelectEntries(const LayerPlan& /*layer*/, LayerObservation& observation,
                       Selection& selection) const override {
    const TensorView scores = observation.HeadScores();
    observation.backend().KeyDiffScores({.keys = observation.inputs().keys, .out = scores});
    observation.SelectTop(scores, 0, selection.kv_indices);
    return OkStatus();
  }
};

}  // namespace

std::unique_ptr<RetentionRule> CreateKeyDiffRule(const MethodConfig& /*config*/,
                                                 const ModelShape& /*shape*/) {
  return std::make_unique<KeyDiffRule>();
}

}  // namespace fastkv
