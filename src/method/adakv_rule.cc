// AdaKV's retention: the layer's whole budget is shared out among its KV heads by how many of the
// layer's best entries each holds; every head then keeps its own best entries and the window.
// Source: arXiv 2407.11550, with KV heads (means over their query heads) as units.
#include <algorithm>
#include <cmath>
#include <vector>

#include "method/rules.h"

namespace fastkv {
namespace {

class AdaKvRule final : public RetentionRule {
 public:
  explicit AdaKvRule(const MethodConfig& config)
      : window_(WindowOf(config)),
        kernel_(config.kernel),
        pooling_(config.pooling),
        alpha_(config.adakv_alpha) {}

  int64_t TailTokens() const override { return window_; }
  bool UnequalHeads() const override { return true; }
  Observation Wanted(int64_t /*tokens*/) const override { return {.query_rows = window_}; }

  Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                       Selection& selection) const override {
    const TensorView scores = observation.PooledGroupMeans(window_, kernel_, pooling_);
    observation.RaiseProtected(scores);
    FASTKV_ASSIGN_OR_RETURN(
        const std::vector<int64_t> best,
        BestEntriesOfHeads(layer.kv_len - window_, scores, observation, selection));
    const int64_t budget = layer.kv_len - window_;
    const int64_t num_protected = NumProtected(observation, scores.dim(1));
    auto* indices = selection.kv_indices.As<int32_t>();
    selection.head_kv_len.clear();
    for (size_t head = 0; head < best.size(); ++head) {
      const int64_t count = std::max(HeadBudget(best[head], budget), num_protected);
      observation.backend().SelectTopK(
          {.scores = scores.Rows(static_cast<int64_t>(head), static_cast<int64_t>(head) + 1),
           .count = count,
           .tail = window_,
           .out = TensorView(indices, DType::kI32, {1, count + window_})});
      indices += count + window_;
      selection.head_kv_len.push_back(count + window_);
    }
    return OkStatus();
  }

 private:
  // How many of the layer's `num_heads * budget` best entries belong to each head. The list of all
  // heads' entries is in order of heads, so that ties go to the lower head, then the lower index.
  // selection.kv_indices is scratch.
  static Result<std::vector<int64_t>> BestEntriesOfHeads(int64_t budget, const TensorView& scores,
                                                         LayerObservation& observation,
                                                         const Selection& selection) {
    const int64_t num_heads = scores.dim(0);
    const int64_t num_columns = scores.dim(1);
    std::vector<int32_t> best(num_heads * budget);
    observation.backend().SelectTopK(
        {.scores = TensorView(scores.data(), DType::kF32, {1, num_heads * num_columns}),
         .count = num_heads * budget,
         .out = TensorView(selection.kv_indices.data(), DType::kI32, {1, num_heads * budget})});
    FASTKV_RETURN_IF_ERROR(observation.backend().CopyToHost(
        best.data(), selection.kv_indices.data(), 4 * num_heads * budget));
    std::vector<int64_t> of_head(num_heads);
    for (const int32_t entry : best) ++of_head[entry / num_columns];
    return of_head;
  }

  // A head's entries before the window: a share alpha of the budget for sure, the rest as it
  // scored; halves are rounded to even.
  int64_t HeadBudget(int64_t best_entries, int64_t budget) const {
    const double sure = std::trunc(static_cast<double>(budget) * alpha_);
    return static_cast<int64_t>(
        std::nearbyint(static_cast<double>(best_entries) * (1 - alpha_) + sure));
  }

  static int64_t NumProtected(const LayerObservation& observation, int64_t num_columns) {
    int64_t count = 0;
    for (const ColumnSpan& span : observation.inputs().protected_tokens) {
      count += std::max<int64_t>(0, std::min(span.end, num_columns) - span.begin);
    }
    return count;
  }

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
