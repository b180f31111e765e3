// The operations of the CPU back end, as free functions over a Context. What each computes stands
// in backend/ops.h.
#ifndef FASTKV_BACKEND_CPU_OPERATIONS_H_
#define FASTKV_BACKEND_CPU_OPERATIONS_H_

#include "backend/cpu/context.h"
#include "backend/ops.h"

namespace fastkv::cpu {

// matmul.cc, which calls long_product.cc and short_product.cc
void EmbedTokens(const Context& context, const EmbedTokensParams& params);
void MatMul(const Context& context, const MatMulParams& params);
// rows.cc
void RmsNorm(const Context& context, const RmsNormParams& params);
void SiluMultiply(const Context& context, const SiluMultiplyParams& params);
// rope.cc
void RopeTable(const Context& context, const RopeTableParams& params);
void StoreQkv(const Context& context, const StoreQkvParams& params);
// prefill_attention.cc, cached_attention.cc, window_scores.cc
void PrefillAttention(const Context& context, const PrefillAttentionParams& params);
// PrefillAttention by products of pairs of bf16, which it chooses where the processor has them. All
// types are bf16; head_dim <= PairAttentionTile::kMaxHeadDim.
void PrefillAttentionInPairs(const Context& context, const PrefillAttentionParams& params);
void CachedAttention(const Context& context, const CachedAttentionParams& params);
void WindowScores(const Context& context, const WindowScoresParams& params);
// column_scores.cc, query_moments.cc, expected_attention.cc
void ColumnScores(const Context& context, const ColumnScoresParams& params);
void QueryMoments(const Context& context, const QueryMomentsParams& params);
void ExpectedAttentionScores(const Context& context, const ExpectedAttentionScoresParams& params);
// key_scores.cc
void QueryScores(const Context& context, const QueryScoresParams& params);
void KeyNormScores(const Context& context, const KeyNormScoresParams& params);
void KeyDiffScores(const Context& context, const KeyDiffScoresParams& params);
// selection.cc
void FillColumns(const Context& context, const FillColumnsParams& params);
void PoolScores(const Context& context, const PoolScoresParams& params);
void ReduceRows(const Context& context, const ReduceRowsParams& params);
void SelectTopK(const Context& context, const SelectTopKParams& params);
// gather.cc
void GatherRows(const Context& context, const GatherRowsParams& params);
void GatherKv(const Context& context, const GatherKvParams& params);
// logits.cc
void ArgMax(const Context& context, const ArgMaxParams& params);
void TargetLogProbs(const Context& context, const TargetLogProbsParams& params);

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_OPERATIONS_H_
