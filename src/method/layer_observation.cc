#include "method/layer_observation.h"

#include <algorithm>

namespace fastkv {

Result<ObservationScratch> ObservationScratch::Allocate(Backend& backend, const ModelShape& shape,
                                                        int64_t max_tokens) {
  ObservationScratch scratch;
  const int64_t row_bytes = max_tokens * DTypeBytes(DType::kF32);
  FASTKV_ASSIGN_OR_RETURN(scratch.window_scores_,
                          backend.Allocate(shape.num_q_heads * row_bytes, "window scores"));
  FASTKV_ASSIGN_OR_RETURN(scratch.pooled_scores_,
                          backend.Allocate(shape.num_q_heads * row_bytes, "pooled scores"));
  FASTKV_ASSIGN_OR_RETURN(scratch.group_scores_,
                          backend.Allocate(shape.num_kv_heads * row_bytes, "group scores"));
  FASTKV_ASSIGN_OR_RETURN(scratch.token_scores_, backend.Allocate(row_bytes, "token scores"));
  return scratch;
}

TensorView LayerObservation::WindowScores() {
  return scratch_.window_scores_.View(DType::kF32, {shape_.num_q_heads, num_past_});
}

ConstTensorView LayerObservation::GroupScores(int64_t kernel, PoolingKind pooling) {
  if (!group_scores_.empty()) return group_scores_;
  // A wider kernel reaches no further column, and a divisor common to all columns changes no order.
  kernel = std::min(kernel, 2 * num_past_ + 1);
  const TensorView pooled =
      scratch_.pooled_scores_.View(DType::kF32, {shape_.num_q_heads, num_past_});
  backend_.PoolScores({.scores = WindowScores(), .kernel = kernel, .kind = pooling, .out = pooled});
  const TensorView grouped =
      scratch_.group_scores_.View(DType::kF32, {shape_.num_kv_heads, num_past_});
  backend_.ReduceRows({.scores = pooled, .kind = ReductionKind::kSum, .out = grouped});
  group_scores_ = grouped;
  return group_scores_;
}

ConstTensorView LayerObservation::TokenScores(int64_t kernel, PoolingKind pooling) {
  if (!token_scores_.empty()) return token_scores_;
  const TensorView summed = scratch_.token_scores_.View(DType::kF32, {1, num_past_});
  backend_.ReduceRows(
      {.scores = GroupScores(kernel, pooling), .kind = ReductionKind::kSum, .out = summed});
  token_scores_ = summed;
  return token_scores_;
}

}  // namespace fastkv
