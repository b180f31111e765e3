// TOVA's retention: the entries that the last row attends to most, averaged over all query heads,
// and the last token. Source: arXiv 2401.06104, at the end of prefill only; the same set for all
// heads.
#include "method/rules.h"

namespace fastkv {
namespace {

constexpr int64_t kRows = 1;

class TovaRule final : public RetentionRule {
 public:
  int64_t TailTokens() const override { return kRows; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.query_rows = kRows}; }

  Status SelectEntries(const LayerPlan& /*layer*/, LayerObservation& observation,
                       Selection& selection) const override {
    observation.SelectTop(observation.HeadMeans(kRows), kRows, selection.kv_indices);
    return OkStatus();
  }
};

}  // namespace

std::unique_ptr<RetentionRule> CreateTovaRule(const MethodConfig& /*config*/,
                                              const ModelShape& /*shape*/) {
  return std::make_unique<TovaRule>();
}

}  // namespace fastkv
