// One pass over the keys: the scores of one query, norms, and similarity to the mean direction.
#include <algorithm>
#include <cmath>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/limits.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

const void* KeyData(const ConstTensorView& keys, int64_t head, int64_t entry) {
  const int64_t offset = head * keys.stride(0) + entry * keys.stride(1);
  return static_cast<const char*>(keys.data()) + offset * DTypeBytes(keys.dtype());
}

void CheckKeyScores(const Context& context, const ConstTensorView& keys, const TensorView& out) {
  FASTKV_CHECK(keys.dtype() == context.types().kv);
  FASTKV_CHECK(out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(out.dim(0), keys.dim(0));
  FASTKV_CHECK_EQ(out.dim(1), keys.dim(1));
  FASTKV_CHECK_LE(keys.dim(2), limits::kMaxHeadDim);
}

// Calls visit(key, head, entry) with a copy of the key, in f32, of every entry of [begin, end),
// counted over all heads.
template <typename Visit>
void ForEachKey(const Context& context, const ConstTensorView& keys, int64_t begin, int64_t end,
                int thread, const Visit& visit) {
  const int64_t head_dim = keys.dim(2);
  float* const key = context.ThreadScratch(thread);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t head = i / keys.dim(1);
    const int64_t entry = i % keys.dim(1);
    context.kernels().expand_rows(KeyData(keys, head, entry), keys.dtype(), head_dim, 1, head_dim,
                                  key, head_dim);
    visit(key, head, entry);
  }
}

// The mean direction of each head's keys, as a row of `anchors` of norm 1; 0 where there is none.
// Blocks of fixed size are summed apart and then one after the other, whatever the number of
// threads.
void FindAnchors(const Context& context, const ConstTensorView& keys, float* anchors) {
  constexpr int64_t kBlock = 1024;
  const int64_t num_heads = keys.dim(0);
  const int64_t kv_len = keys.dim(1);
  const int64_t head_dim = keys.dim(2);
  float* const parts = anchors + num_heads * head_dim;
  const int64_t max_blocks = (Context::kSharedScratchFloats - (parts - anchors)) /
                             std::max<int64_t>(1, num_heads * head_dim);
  FASTKV_CHECK_LT(0, max_blocks);
  const int64_t block = std::max(kBlock, CeilDivide(kv_len, max_blocks));
  const int64_t num_blocks = CeilDivide(kv_len, block);
  ParallelFor(context.num_threads(), num_heads * num_blocks, [&](int64_t t, int thread) {
    const int64_t head = t / num_blocks;
    const int64_t begin = t % num_blocks * block;
    float* const sum = parts + t * head_dim;
    std::fill_n(sum, head_dim, 0.0f);
    ForEachKey(context, keys, head * kv_len + begin,
               head * kv_len + std::min(begin + block, kv_len), thread,
               [&](float* key, int64_t, int64_t) {
                 const float squares = SumOfSquares(key, head_dim);
                 if (squares == 0) return;
                 // Scaled first, then added: with one rounding less, a key and its opposite would
                 // not cancel.
                 context.kernels().scale_row(key, head_dim, 1.0f / std::sqrt(squares));
                 AddTo(sum, key, head_dim);
               });
  });
  for (int64_t head = 0; head < num_heads; ++head) {
    float* const anchor = anchors + head * head_dim;
    std::fill_n(anchor, head_dim, 0.0f);
    for (int64_t b = 0; b < num_blocks; ++b) {
      AddTo(anchor, parts + (head * num_blocks + b) * head_dim, head_dim);
    }
    const float norm = std::sqrt(SumOfSquares(anchor, head_dim));
    if (norm > 0) context.kernels().scale_row(anchor, head_dim, 1.0f / norm);
  }
}

}  // namespace

void QueryScores(const Context& context, const QueryScoresParams& params) {
  // Entries of a task: enough to hide its start, few enough to share out.
  constexpr int64_t kTaskEntries = 512;
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t head_dim = params.keys.dim(2);
  FASTKV_CHECK(params.q.dtype() == context.types().activation);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.q.dim(0), 1);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.out.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), kv_len);
  FASTKV_CHECK_LE(head_dim, limits::kMaxHeadDim);
  static_assert(kMatVecRows * limits::kMaxHeadDim <= Context::kThreadScratchFloats);
  const Kernels& kernels = context.kernels();
  const WeightKernels& kernel = kernels.weight(FormatOf(params.keys.dtype()));
  const int64_t group_size = num_q_heads / num_kv_heads;
  const int64_t blocks = CeilDivide(kv_len, kTaskEntries);
  ParallelFor(context.num_threads(), num_kv_heads * blocks, [&](int64_t t, int thread) {
    const int64_t kv_head = t / blocks;
    const int64_t begin = t % blocks * kTaskEntries;
    const int64_t count = std::min(kTaskEntries, kv_len - begin);
    float* const queries = context.ThreadScratch(thread);
    for (int64_t first = 0; first < group_size; first += kMatVecRows) {
      const int64_t num_rows = std::min(kMatVecRows, group_size - first);
      const int64_t q_head = kv_head * group_size + first;
      for (int64_t r = 0; r < num_rows; ++r) {
        const int64_t offset = (q_head + r) * params.q.stride(1);
        kernel.prepare_input(
            static_cast<const char*>(params.q.data()) + offset * DTypeBytes(params.q.dtype()),
            params.q.dtype(), head_dim, queries + r * head_dim);
      }
      float* const out = params.out.As<float>() + q_head * params.out.stride(0) + begin;
      kernel.mat_vec({.x = queries,
                      .x_stride = head_dim,
                      .num_rows = num_rows,
                      .w = KeyData(params.keys, kv_head, begin),
                      .w_row_bytes = params.keys.stride(1) * DTypeBytes(params.keys.dtype()),
                      .num_outputs = count,
                      .depth = head_dim,
                      .out = out,
                      .out_stride = params.out.stride(0)});
      for (int64_t r = 0; r < num_rows; ++r) {
        kernels.scale_row(out + r * params.out.stride(0), count, params.scale);
      }
    }
  });
}

void KeyNormScores(const Context& context, const KeyNormScoresParams& params) {
  CheckKeyScores(context, params.keys, params.out);
  const int64_t head_dim = params.keys.dim(2);
  context.ForRows(params.keys.dim(0) * params.keys.dim(1), 2 * head_dim,
                  [&](int64_t begin, int64_t end, int thread) {
                    ForEachKey(context, params.keys, begin, end, thread,
                               [&](const float* key, int64_t head, int64_t entry) {
                                 params.out.As<float>()[head * params.out.stride(0) + entry] =
                                     -std::sqrt(SumOfSquares(key, head_dim));
                               });
                  });
}

void KeyDiffScores(const Context& context, const KeyDiffScoresParams& params) {
  CheckKeyScores(context, params.keys, params.out);
  const int64_t num_heads = params.keys.dim(0);
  const int64_t head_dim = params.keys.dim(2);
  float* const anchors = context.SharedScratch();
  FindAnchors(context, params.keys, anchors);
  context.ForRows(num_heads * params.keys.dim(1), 4 * head_dim,
                  [&](int64_t begin, int64_t end, int thread) {
                    ForEachKey(context, params.keys, begin, end, thread,
                               [&](const float* key, int64_t head, int64_t entry) {
                                 const float norm = std::sqrt(SumOfSquares(key, head_dim));
                                 const float* anchor = anchors + head * head_dim;
                                 params.out.As<float>()[head * params.out.stride(0) + entry] =
                                     norm > 0 ? 0.0f - Dot(key, anchor, head_dim) / norm : 0.0f;
                               });
                  });
}

}  // namespace fastkv::cpu
