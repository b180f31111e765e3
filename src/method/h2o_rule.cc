// H2O's retention ("heavy hitters"): the entries with the largest attention from all rows of the
// prompt, and the last `window` tokens. Source: arXiv 2306.14048, with the causal mask over all
// rows, per KV head (summed over its query heads), and not repeated while decoding.
#include "method/rules.h"

namespace fastkv {
namespace {

class H2oRule final : public RetentionRule {
 public:
  explicit H2oRule(const MethodConfig& config) : window_(WindowOf(config)) {}

  int64_t TailTokens() const override { return window_; }
  Observation Wanted(int64_t tokens) const override { return {.column_sums = {Sums(tokens)}}; }

  Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                       Selection& selection) const override {
    observation.SelectTop(observation.SummedColumns(Sums(layer.tokens_in)), window_,
                          selection.kv_indices);
    return OkStatus();
  }

 private:
  ColumnSums Sums(int64_t tokens) const { return {.rows = tokens, .columns = tokens - window_}; }

  int64_t window_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreateH2oRule(const MethodConfig& config,
                                             const ModelShape& /*shape*/) {
  return std::make_unique<H2oRule>(config);
}

}  // namespace fastkv
