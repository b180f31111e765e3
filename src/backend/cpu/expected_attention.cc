// The attention that queries of a given mean and covariance are expected to pay to each entry.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {

void ExpectedAttentionScores(const Context& context, const ExpectedAttentionScoresParams& params) {
  const int64_t num_q_heads = params.mean.dim(0);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t head_dim = params.keys.dim(2);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.values.dtype() == context.types().kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  const int64_t group_size = num_q_heads / num_kv_heads;
  const int64_t num_sinks = std::min(params.num_sinks, kv_len);
  const auto expand = [&](const ConstTensorView& view, int64_t a, int64_t j, float* to) {
    const int64_t offset = a * view.stride(0) + j * view.stride(1);
    context.kernels().expand_rows(
        static_cast<const char*>(view.data()) + offset * DTypeBytes(view.dtype()), view.dtype(),
        head_dim, 1, head_dim, to, head_dim);
  };
  ParallelFor(context.num_threads(), num_kv_heads, [&](int64_t a, int thread) {
    float* const row = context.ThreadScratch(thread);
    float* const out = params.out.As<float>() + a * params.out.stride(0);
    std::fill_n(out, kv_len, 0.0f);
    const auto score = [&](int64_t h, int64_t j) {
      expand(params.keys, a, j, row);
      const auto* mean = params.mean.As<float>() + h * params.mean.stride(0);
      float variance = 0;
      for (int64_t c = 0; c < head_dim; ++c) {
        const auto* covariance = params.covariance.As<float>() + h * params.covariance.stride(0) +
                                 c * params.covariance.stride(1);
        variance += row[c] * Dot(covariance, row, head_dim);
      }
      return params.scale * Dot(mean, row, head_dim) + params.scale * params.scale / 2 * variance;
    };
    for (int64_t h = a * group_size; h < (a + 1) * group_size; ++h) {
      float max = -std::numeric_limits<float>::infinity();
      float sum = 0;
      for (int64_t j = num_sinks; j < kv_len; ++j) {
        const float z = score(h, j);
        if (z > max) {
          sum *= std::exp(max - z);
          max = z;
        }
        sum += std::exp(z - max);
      }
      for (int64_t j = num_sinks; j < kv_len; ++j) {
        out[j] += std::exp(score(h, j) - max) / sum / static_cast<float>(group_size);
      }
    }
    for (int64_t j = 0; j < kv_len; ++j) {
      expand(params.values, a, j, row);
      out[j] = j < num_sinks ? std::numeric_limits<float>::max()
                             : out[j] * std::sqrt(SumOfSquares(row, head_dim));
    }
  });
}

}  // namespace fastkv::cpu
