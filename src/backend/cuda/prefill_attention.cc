#include <algorithm>

#include "backend/cuda/attention.h"
#include "backend/cuda/cudnn_attention.h"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {

void PrefillAttention(const Context& context, CudnnAttention* cudnn,
                      const PrefillAttentionParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  FASTKV_CHECK(params.q.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == context.type);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.values.dtype() == context.type);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_LE(params.q_start + q_len, kv_len);
  FASTKV_CHECK_LE(num_kv_heads, kMaxKvHeads);
  FASTKV_CHECK_EQ(params.q.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.keys.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.values.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.out.dim(0), q_len);
  FASTKV_CHECK_EQ(params.out.dim(1), num_q_heads * head_dim);
  if (q_len == 0) return;
  if (cudnn != nullptr && cudnn->Run(context, params)) return;

  // The rows of this block see the first q_start + q_len entries as a tail without a frozen part.
  SequenceAttention a = {};
  a.kv.tail_keys = params.keys.data();
  a.kv.tail_values = params.values.data();
  a.kv.tail_positions = params.positions;
  a.kv.tail_key_stride = params.keys.stride(0);
  a.kv.tail_value_stride = params.values.stride(0);
  a.kv.tail_len = params.q_start + q_len;
  a.q = params.q.data();
  a.q_stride = params.q.stride(0);
  a.out = params.out.data();
  a.out_stride = params.out.stride(0);
  if (!params.log_sum_exp.empty()) {
    FASTKV_CHECK(params.log_sum_exp.dtype() == DType::kF32);
    a.log_sum_exp = params.log_sum_exp.As<float>();
    a.log_sum_exp_stride = params.log_sum_exp.stride(0);
  }
  a.q_len = q_len;
  a.window = std::min<int64_t>(params.window, INT32_MAX);
  a.scale = params.scale;
  a.num_kv_heads = static_cast<int>(num_kv_heads);
  a.group_size = static_cast<int>(num_q_heads / num_kv_heads);
  a.head_dim = static_cast<int>(head_dim);
  if (FlashAttentionFits(context, a)) {
    FlashAttention(context, a);
  } else {
    PlainAttention(context, a);
  }
}

}  // namespace fastkv::cuda
