// Causal attention of a block of prompt rows. A task is a tile of rows of one KV head's group: the
// query heads of a group share every packed block of keys.
#include <algorithm>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

class PrefillTask {
 public:
  PrefillTask(const PrefillAttentionParams& params, int64_t kv_head, int64_t first_head,
              int64_t num_heads, int64_t first_row, int64_t num_rows)
      : params_(params),
        kv_head_(kv_head),
        first_head_(first_head),
        num_heads_(num_heads),
        first_row_(first_row),
        num_rows_(num_rows) {}

  void Run(AttentionTile& tile) const {
    AddRows(tile);
    const int64_t num_keys = tile.blocks().num_keys;
    const ConstTensorView keys = Head(params_.keys);
    const ConstTensorView values = Head(params_.values);
    const int64_t end = tile.visible_end();
    for (int64_t begin = tile.visible_begin() / num_keys * num_keys; begin < end;
         begin += num_keys) {
      tile.Attend(
          {.keys = keys, .values = values, .begin = begin, .end = std::min(begin + num_keys, end)});
    }
    StoreRows(tile);
  }

 private:
  void AddRows(AttentionTile& tile) const {
    const DType type = params_.q.dtype();
    tile.Clear();
    for (int64_t i = first_row_; i < first_row_ + num_rows_; ++i) {
      const int64_t own_entry = params_.q_start + i;
      const int64_t begin = params_.window == 0
                                ? 0
                                : FirstVisible(params_.positions, own_entry + 1,
                                               params_.positions[own_entry], params_.window);
      for (int64_t h = first_head_; h < first_head_ + num_heads_; ++h) {
        const int64_t offset = i * params_.q.stride(0) + h * params_.q.stride(1);
        tile.AddRow(static_cast<const char*>(params_.q.data()) + offset * DTypeBytes(type), begin,
                    own_entry + 1);
      }
    }
  }

  void StoreRows(AttentionTile& tile) const {
    const int64_t head_dim = params_.q.dim(2);
    const DType type = params_.out.dtype();
    for (int64_t r = 0; r < tile.num_rows(); ++r) {
      const int64_t i = first_row_ + r / num_heads_;
      const int64_t h = first_head_ + r % num_heads_;
      const int64_t offset = i * params_.out.stride(0) + h * head_dim;
      tile.StoreRow(r, static_cast<char*>(params_.out.data()) + offset * DTypeBytes(type), type);
      if (!params_.log_sum_exp.empty()) {
        params_.log_sum_exp.As<float>()[i * params_.log_sum_exp.stride(0) + h] = tile.LogSumExp(r);
      }
    }
  }

  // [kv_len, head_dim] of this task's KV head.
  ConstTensorView Head(const ConstTensorView& view) const {
    const int64_t offset = kv_head_ * view.stride(0) * DTypeBytes(view.dtype());
    return ConstTensorView(static_cast<const char*>(view.data()) + offset, view.dtype(),
                           {view.dim(1), view.dim(2)})
        .WithStride(0, view.stride(1));
  }

  const PrefillAttentionParams& params_;
  int64_t kv_head_;
  int64_t first_head_, num_heads_;  // query heads
  int64_t first_row_, num_rows_;    // of q
};

}  // namespace

void PrefillAttention(const Context& context, const PrefillAttentionParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  FASTKV_CHECK(params.q.dtype() == context.types().activation);
  FASTKV_CHECK(params.out.dtype() == context.types().activation);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.values.dtype() == context.types().kv);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_LE(params.q_start + q_len, params.keys.dim(1));
  FASTKV_CHECK_EQ(params.out.dim(1), num_q_heads * head_dim);
  FASTKV_CHECK(params.window == 0 || params.positions != nullptr);

  const AttentionBlocks blocks(head_dim);
  const int64_t group_size = num_q_heads / num_kv_heads;
  const int64_t tile_heads = std::min(group_size, blocks.max_rows);
  const int64_t head_tiles = CeilDivide(group_size, tile_heads);
  // Tiles are made smaller where there are not enough of them to go round.
  int64_t tile_rows = std::max<int64_t>(1, blocks.max_rows / tile_heads);
  const int64_t tasks_wanted = 4 * context.num_threads();
  while (tile_rows * tile_heads > 48 &&
         num_kv_heads * head_tiles * CeilDivide(q_len, tile_rows) < tasks_wanted) {
    tile_rows = CeilDivide(tile_rows, 2);
  }
  const int64_t row_tiles = CeilDivide(q_len, tile_rows);
  const int64_t tasks_a_row_tile = num_kv_heads * head_tiles;
  ParallelFor(context.num_threads(), row_tiles * tasks_a_row_tile, [&](int64_t t, int thread) {
    // The last rows see the most keys, so they go first.
    const int64_t first_row = (row_tiles - 1 - t / tasks_a_row_tile) * tile_rows;
    const int64_t kv_head = t % tasks_a_row_tile / head_tiles;
    const int64_t head_in_group = t % head_tiles * tile_heads;
    AttentionTile tile(context, head_dim, params.scale, thread);
    PrefillTask(params, kv_head, kv_head * group_size + head_in_group,
                std::min(tile_heads, group_size - head_in_group), first_row,
                std::min(tile_rows, q_len - first_row))
        .Run(tile);
  });
}

}  // namespace fastkv::cpu
