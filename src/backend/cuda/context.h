// What every operation of the CUDA back end needs from it.
#ifndef FASTKV_BACKEND_CUDA_CONTEXT_H_
#define FASTKV_BACKEND_CUDA_CONTEXT_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backend/ops.h"
#include "tensor/dtype.h"

namespace fastkv::cuda {

// One stream orders all work, so the scratch memory is one block that each operation uses from its
// beginning; nothing in it outlives an operation but the counters.
struct Context {
  cudaStream_t stream = nullptr;
  int num_multiprocessors = 0;
  int max_shared_bytes = 0;     // of a block
  bool launches_early = false;  // the device has programmatic dependent launch
  DType type = DType::kBF16;    // of activations, keys, values and weights: f32 or bf16
  std::byte* scratch = nullptr;
  int64_t scratch_bytes = 0;
  uint32_t* counters = nullptr;  // all 0 between operations
  int64_t num_counters = 0;
};

// Largest grid dimension used; larger counts are covered by loops.
inline constexpr int64_t kMaxGridY = 65535;

// One function an operation, each in the file of its name; the params' contract is in ops.h. They
// enqueue on the context's stream and abort on broken preconditions.
void RmsNorm(const Context& context, const RmsNormParams& params);
void RopeTable(const Context& context, const RopeTableParams& params);
void StoreQkv(const Context& context, const StoreQkvParams& params);
void CachedAttention(const Context& context, const CachedAttentionParams& params);
void SiluMultiply(const Context& context, const SiluMultiplyParams& params);
void WindowScores(const Context& context, const WindowScoresParams& params);
void ColumnScores(const Context& context, const ColumnScoresParams& params);
void QueryScores(const Context& context, const QueryScoresParams& params);
void KeyNormScores(const Context& context, const KeyNormScoresParams& params);
void KeyDiffScores(const Context& context, const KeyDiffScoresParams& params);
void QueryMoments(const Context& context, const QueryMomentsParams& params);
void ExpectedAttentionScores(const Context& context, const ExpectedAttentionScoresParams& params);
void FillColumns(const Context& context, const FillColumnsParams& params);
void PoolScores(const Context& context, const PoolScoresParams& params);
void ReduceRows(const Context& context, const ReduceRowsParams& params);
void SelectTopK(const Context& context, const SelectTopKParams& params);
void GatherRows(const Context& context, const GatherRowsParams& params);
void GatherKv(const Context& context, const GatherKvParams& params);
void ArgMax(const Context& context, const ArgMaxParams& params);
void TargetLogProbs(const Context& context, const TargetLogProbsParams& params);

// `table` is packed, [vocab_size, hidden_size], of the context's type.
void EmbedTokens(const Context& context, const ConstTensorView& table, const int32_t* ids,
                 const TensorView& out);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_CONTEXT_H_
