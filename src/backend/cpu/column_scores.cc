// How much attention each entry receives from a block of rows whose softmax is known.
#include <algorithm>
#include <cmath>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/limits.h"

namespace fastkv::cpu {

void ColumnScores(const Context& context, const ColumnScoresParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  FASTKV_CHECK(params.q.dtype() == context.types().activation);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK(params.log_sum_exp.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.out.dim(0), num_kv_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), kv_len);
  FASTKV_CHECK(params.window == 0 || params.positions != nullptr);
  FASTKV_CHECK(params.window == 0 || params.q_start + q_len <= kv_len);
  const int64_t group_size = num_q_heads / num_kv_heads;
  const auto expand = [&](const ConstTensorView& view, int64_t offset, float* to) {
    context.kernels().expand_rows(
        static_cast<const char*>(view.data()) + offset * DTypeBytes(view.dtype()), view.dtype(),
        head_dim, 1, head_dim, to, head_dim);
  };
  context.ForRows(
      num_kv_heads * kv_len, q_len * group_size * head_dim,
      [&](int64_t begin, int64_t end, int thread) {
        float* const key = context.ThreadScratch(thread);
        float* const query = key + limits::kMaxHeadDim;
        for (int64_t entry = begin; entry < end; ++entry) {
          const int64_t a = entry / kv_len;
          const int64_t j = entry % kv_len;
          expand(params.keys, a * params.keys.stride(0) + j * params.keys.stride(1), key);
          float sum = 0;
          for (int64_t i = std::max<int64_t>(0, j - params.q_start); i < q_len; ++i) {
            if (params.window > 0 &&
                params.positions[params.q_start + i] - params.positions[j] >= params.window) {
              break;
            }
            const float weight =
                params.row_weights.empty() ? 1.0f : params.row_weights.As<float>()[i];
            for (int64_t h = a * group_size; h < (a + 1) * group_size; ++h) {
              expand(params.q, i * params.q.stride(0) + h * params.q.stride(1), query);
              const float log_sum_exp =
                  params.log_sum_exp.As<float>()[i * params.log_sum_exp.stride(0) + h];
              sum += weight * std::exp(params.scale * Dot(query, key, head_dim) - log_sum_exp);
            }
          }
          params.out.As<float>()[a * params.out.stride(0) + j] += sum;
        }
      });
}

}  // namespace fastkv::cpu
