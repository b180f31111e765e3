// How much probability the last rows give each earlier entry. Two passes over the keys: the first
// finds every row's maximum and sum, the second adds up (or takes the largest of) the
// probabilities, so that nothing but the result grows with the prompt.
#include <algorithm>
#include <array>
#include <vector>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

// Query heads [first_head, first_head + num_heads), which share a KV head.
void ScoreHeads(const WindowScoresParams& params, int64_t kv_head, int64_t first_head,
                int64_t num_heads, AttentionTile& tile) {
  const int64_t window_rows = params.q.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t num_columns = kv_len - window_rows;
  const int64_t num_keys = tile.blocks().num_keys;
  const auto out = [&](int64_t h) { return params.out.As<float>() + h * params.out.stride(0); };
  const DType kv = params.keys.dtype();
  const ConstTensorView keys = ConstTensorView(static_cast<const char*>(params.keys.data()) +
                                                   kv_head * params.keys.stride(0) * DTypeBytes(kv),
                                               kv, {kv_len, params.keys.dim(2)})
                                   .WithStride(0, params.keys.stride(1));

  for (int64_t h = first_head; h < first_head + num_heads; ++h)
    std::fill_n(out(h), num_columns, 0.0f);
  std::vector<float> row_probabilities;  // of one block of keys
  const int64_t rows_at_once = std::max<int64_t>(1, tile.blocks().max_rows / num_heads);
  for (int64_t first_row = 0; first_row < window_rows; first_row += rows_at_once) {
    const int64_t end_row = std::min(first_row + rows_at_once, window_rows);
    tile.Clear();
    for (int64_t i = first_row; i < end_row; ++i) {
      const int64_t own_entry = num_columns + i;
      const int64_t begin = params.window == 0
                                ? 0
                                : FirstVisible(params.positions, own_entry + 1,
                                               params.positions[own_entry], params.window);
      for (int64_t h = first_head; h < first_head + num_heads; ++h) {
        const int64_t offset = i * params.q.stride(0) + h * params.q.stride(1);
        tile.AddRow(
            static_cast<const char*>(params.q.data()) + offset * DTypeBytes(params.q.dtype()),
            begin, own_entry + 1);
      }
    }
    const int64_t first_key = tile.visible_begin() / num_keys * num_keys;
    const int64_t last_key = tile.visible_end();
    for (int64_t key = first_key; key < last_key; key += num_keys) {
      tile.Attend({.keys = keys, .begin = key, .end = std::min(key + num_keys, last_key)});
    }
    for (int64_t key = first_key; key < num_columns; key += num_keys) {
      const KeyBlock block = {
          .keys = keys, .begin = key, .end = std::min(key + num_keys, num_columns)};
      const auto block_out = [&](int64_t r) { return out(first_head + r % num_heads) + key; };
      std::array<float*, AttentionTile::kMaxRows> outs;
      if (params.row_reduction == ReductionKind::kSum) {
        for (int64_t r = 0; r < tile.num_rows(); ++r) outs[r] = block_out(r);
        tile.AddProbabilities(block, num_columns, outs.data());
        continue;
      }
      row_probabilities.assign(tile.num_rows() * num_keys, 0.0f);
      for (int64_t r = 0; r < tile.num_rows(); ++r) outs[r] = &row_probabilities[r * num_keys];
      tile.AddProbabilities(block, num_columns, outs.data());
      for (int64_t r = 0; r < tile.num_rows(); ++r) {
        float* to = block_out(r);
        for (int64_t j = 0; j < block.end - key; ++j) to[j] = std::max(to[j], outs[r][j]);
      }
    }
  }
}

}  // namespace

void WindowScores(const Context& context, const WindowScoresParams& params) {
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  FASTKV_CHECK(params.q.dtype() == context.types().activation);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_LE(params.q.dim(0), params.keys.dim(1));
  FASTKV_CHECK_EQ(params.out.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), params.keys.dim(1) - params.q.dim(0));
  FASTKV_CHECK(params.window == 0 || params.positions != nullptr);
  FASTKV_CHECK(params.row_reduction != ReductionKind::kMean);

  const int64_t group_size = num_q_heads / num_kv_heads;
  // Heads that share packed keys, as long as there is enough for every thread.
  const int64_t task_heads = num_kv_heads >= 2 * context.num_threads()
                                 ? std::min(group_size, AttentionBlocks(head_dim).max_rows)
                                 : 1;
  const int64_t tasks_a_group = CeilDivide(group_size, task_heads);
  ParallelFor(context.num_threads(), num_kv_heads * tasks_a_group, [&](int64_t t, int thread) {
    const int64_t kv_head = t / tasks_a_group;
    const int64_t head_in_group = t % tasks_a_group * task_heads;
    AttentionTile tile(context, head_dim, params.scale, thread);
    ScoreHeads(params, kv_head, kv_head * group_size + head_in_group,
               std::min(task_heads, group_size - head_in_group), tile);
  });
}

}  // namespace fastkv::cpu
