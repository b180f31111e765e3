// The attention kernels behind PrefillAttention and CachedAttention.
#ifndef FASTKV_BACKEND_CUDA_ATTENTION_H_
#define FASTKV_BACKEND_CUDA_ATTENTION_H_

#include <cstdint>

#include "backend/cuda/context.h"
#include "backend/cuda/kv_source.h"

namespace fastkv::cuda {

inline constexpr int kMaxKvHeads = 128;
inline constexpr int kMaxHeadDim = 256;

// The q_len rows of one sequence over its entries. Row i sees the entries of a head up to its
// number of entries - num_hidden_last + i (exclusive), with num_hidden_last = q_len - 1, and with
// window > 0 only those at positions greater than its own - window; its own position is that of its
// last entry.
struct SequenceAttention {
  SequenceKv kv;
  int64_t head_begin[kMaxKvHeads + 1];
  const void* q;       // [q_len, num_q_heads, head_dim]
  int64_t q_stride;    // from row to row
  void* out;           // [q_len, num_q_heads * head_dim]
  int64_t out_stride;  // from row to row
  float* log_sum_exp;  // [q_len, num_q_heads] or null
  int64_t log_sum_exp_stride;
  int64_t q_len;
  int64_t window;
  float scale;
  int num_kv_heads;
  int group_size;
  int head_dim;
};

// Tensor cores, online softmax, tiles of keys and values shared by all query heads of a group.
// REQUIRES: FlashAttentionFits.
bool FlashAttentionFits(const Context& context, const SequenceAttention& attention);
void FlashAttention(const Context& context, const SequenceAttention& attention);

// Any head size up to kMaxHeadDim, any alignment, either type; slow.
void PlainAttention(const Context& context, const SequenceAttention& attention);

// `cudnn` may be null.
class CudnnAttention;
void PrefillAttention(const Context& context, CudnnAttention* cudnn,
                      const PrefillAttentionParams& params);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_ATTENTION_H_
