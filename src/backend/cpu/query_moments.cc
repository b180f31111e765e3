// First and second moments of the queries before rotary embedding.
#include <algorithm>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {

void QueryMoments(const Context& context, const QueryMomentsParams& params) {
  const int64_t num_q_heads = params.sum.dim(0);
  const int64_t head_dim = params.sum.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == context.types().activation);
  FASTKV_CHECK(params.sum.dtype() == DType::kF32);
  FASTKV_CHECK(params.products.dtype() == DType::kF32);
  FASTKV_CHECK_LE(num_q_heads * head_dim, params.qkv.dim(1));
  const auto* norm_weight =
      params.q_norm_weight.empty() ? nullptr : params.q_norm_weight.As<float>();
  ParallelFor(context.num_threads(), num_q_heads, [&](int64_t h, int thread) {
    float* const query = context.ThreadScratch(thread);
    for (int64_t i = 0; i < params.qkv.dim(0); ++i) {
      const int64_t offset = i * params.qkv.stride(0) + h * head_dim;
      context.kernels().expand_rows(
          static_cast<const char*>(params.qkv.data()) + offset * DTypeBytes(params.qkv.dtype()),
          params.qkv.dtype(), head_dim, 1, head_dim, query, head_dim);
      if (norm_weight != nullptr) {
        RmsNormRow(query, norm_weight, params.norm_epsilon, head_dim, query);
      }
      AddTo(params.sum.As<float>() + h * params.sum.stride(0), query, head_dim);
      for (int64_t c = 0; c < head_dim; ++c) {
        AddScaledTo(params.products.As<float>() + h * params.products.stride(0) +
                        c * params.products.stride(1),
                    query, query[c], head_dim);
      }
    }
  });
}

}  // namespace fastkv::cpu
