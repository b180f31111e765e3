#include "method/unequal_heads.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace fastkv {
namespace {

// How many of the layer's `num_heads * budget` best entries belong to each head. The list of all
// heads' entries is in order of heads, which settles ties as promised. selection.kv_indices is
// scratch.
Result<std::vector<int64_t>> BestEntriesOfHeads(int64_t budget, const TensorView& scores,
                                                LayerObservation& observation,
                                                const Selection& selection) {
  const int64_t num_heads = scores.dim(0);
  const int64_t num_columns = scores.dim(1);
  std::vector<int32_t> best(num_heads * budget);
  observation.backend().SelectTopK(
      {.scores = TensorView(scores.data(), DType::kF32, {1, num_heads * num_columns}),
       .count = num_heads * budget,
       .out = TensorView(selection.kv_indices.data(), DType::kI32, {1, num_heads * budget})});
  FASTKV_RETURN_IF_ERROR(observation.backend().CopyToHost(best.data(), selection.kv_indices.data(),
                                                          4 * num_heads * budget));
  std::vector<int64_t> of_head(num_heads);
  for (const int32_t entry : best) ++of_head[entry / num_columns];
  return of_head;
}

// A head's entries before the window: a share alpha of the budget for sure, the rest as it scored.
int64_t HeadBudget(int64_t best_entries, int64_t budget, double alpha) {
  const double sure = std::trunc(static_cast<double>(budget) * alpha);
  return static_cast<int64_t>(
      std::nearbyint(static_cast<double>(best_entries) * (1 - alpha) + sure));
}

int64_t NumProtected(const LayerObservation& observation, int64_t num_columns) {
  int64_t count = 0;
  for (const ColumnSpan& span : observation.inputs().protected_tokens) {
    count += std::max<int64_t>(0, std::min(span.end, num_columns) - span.begin);
  }
  return count;
}

}  // namespace

Status SelectUnequalHeads(const TensorView& scores, int64_t kv_len, int64_t window, double alpha,
                          LayerObservation& observation, Selection& selection) {
  observation.RaiseProtected(scores);
  const int64_t budget = kv_len - window;
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int64_t> best,
                          BestEntriesOfHeads(budget, scores, observation, selection));
  const int64_t num_protected = NumProtected(observation, scores.dim(1));
  auto* indices = selection.kv_indices.As<int32_t>();
  selection.head_kv_len.clear();
  for (size_t i = 0; i < best.size(); ++i) {
    const auto head = static_cast<int64_t>(i);
    // A head of a cache that was reduced before may hold fewer.
    const int64_t count = std::min(std::max(HeadBudget(best[i], budget, alpha), num_protected),
                                   observation.NumEntries(head) - window);
    observation.backend().SelectTopK(
        {.scores = scores.Rows(head, head + 1),
         .count = count,
         .tail = window,
         .out = TensorView(indices, DType::kI32, {1, count + window})});
    indices += count + window;
    selection.head_kv_len.push_back(count + window);
  }
  return OkStatus();
}

}  // namespace fastkv
