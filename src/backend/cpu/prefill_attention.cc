// Causal attention of a block of prompt rows. A task is a tile of rows of one KV head's group: the
// query heads of a group share every packed block of keys and values.
#include <algorithm>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/pair_attention_tile.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

struct RowTile {
  int64_t kv_head = 0;
  int64_t first_head = 0, num_heads = 0;  // query heads
  int64_t first_row = 0, num_rows = 0;    // of q
};

// How the rows are cut into tiles, the same for every KV head.
struct Tiling {
  int64_t tile_heads = 0, head_tiles = 0;  // of a group's query heads
  int64_t tile_rows = 0, row_tiles = 0;    // of q
  int64_t group_size = 0;
  int64_t num_rows = 0;  // of q

  int64_t tiles_of_a_head() const { return row_tiles * head_tiles; }

  // Tile t of the heads [first_head, first_head + num_kv_heads). The last rows see the most keys,
  // so they go first.
  RowTile Tile(int64_t t, int64_t first_kv_head, int64_t num_kv_heads) const {
    const int64_t tiles_of_rows = num_kv_heads * head_tiles;
    const int64_t first_row = (row_tiles - 1 - t / tiles_of_rows) * tile_rows;
    const int64_t kv_head = first_kv_head + t % tiles_of_rows / head_tiles;
    const int64_t head_in_group = t % head_tiles * tile_heads;
    return {.kv_head = kv_head,
            .first_head = kv_head * group_size + head_in_group,
            .num_heads = std::min(tile_heads, group_size - head_in_group),
            .first_row = first_row,
            .num_rows = std::min(tile_rows, num_rows - first_row)};
  }
};

// [kv_len, head_dim] of a KV head.
ConstTensorView HeadOf(const ConstTensorView& view, int64_t kv_head) {
  const int64_t offset = kv_head * view.stride(0) * DTypeBytes(view.dtype());
  return ConstTensorView(static_cast<const char*>(view.data()) + offset, view.dtype(),
                         {view.dim(1), view.dim(2)})
      .WithStride(0, view.stride(1));
}

// The first entry that row i of q sees.
int64_t FirstEntry(const PrefillAttentionParams& params, int64_t i) {
  const int64_t own_entry = params.q_start + i;
  return params.window == 0 ? 0
                            : FirstVisible(params.positions, own_entry + 1,
                                           params.positions[own_entry], params.window);
}

// Row r of a tile is token r / num_heads and head r % num_heads.
template <typename AnyTile>
void AddRows(const PrefillAttentionParams& params, const RowTile& rows, AnyTile& tile) {
  for (int64_t i = rows.first_row; i < rows.first_row + rows.num_rows; ++i) {
    const int64_t begin = FirstEntry(params, i);
    for (int64_t h = rows.first_head; h < rows.first_head + rows.num_heads; ++h) {
      const int64_t offset = i * params.q.stride(0) + h * params.q.stride(1);
      tile.AddRow(static_cast<const char*>(params.q.data()) + offset * DTypeBytes(params.q.dtype()),
                  begin, params.q_start + i + 1);
    }
  }
}

template <typename AnyTile>
void StoreRows(const PrefillAttentionParams& params, const RowTile& rows, AnyTile& tile) {
  const int64_t head_dim = params.q.dim(2);
  for (int64_t r = 0; r < tile.num_rows(); ++r) {
    const int64_t i = rows.first_row + r / rows.num_heads;
    const int64_t h = rows.first_head + r % rows.num_heads;
    const int64_t offset = i * params.out.stride(0) + h * head_dim;
    tile.StoreRow(r,
                  static_cast<char*>(params.out.data()) + offset * DTypeBytes(params.out.dtype()));
    if (!params.log_sum_exp.empty()) {
      params.log_sum_exp.As<float>()[i * params.log_sum_exp.stride(0) + h] = tile.LogSumExp(r);
    }
  }
}

// Calls attend(block) for the blocks of `num_keys` keys that any row of the tile sees.
template <typename AnyTile, typename Attend>
void ForBlocks(const PrefillAttentionParams& params, const RowTile& rows, const AnyTile& tile,
               int64_t num_keys, const Attend& attend) {
  const ConstTensorView keys = HeadOf(params.keys, rows.kv_head);
  const ConstTensorView values = HeadOf(params.values, rows.kv_head);
  const int64_t end = tile.visible_end();
  for (int64_t begin = tile.visible_begin() / num_keys * num_keys; begin < end; begin += num_keys) {
    attend(KeyBlock{
        .keys = keys, .values = values, .begin = begin, .end = std::min(begin + num_keys, end)});
  }
}

Tiling FloatTiling(const Context& context, const PrefillAttentionParams& params) {
  const AttentionBlocks blocks(params.q.dim(2));
  const int64_t num_kv_heads = params.keys.dim(0);
  Tiling tiling{.group_size = params.q.dim(1) / num_kv_heads, .num_rows = params.q.dim(0)};
  tiling.tile_heads = std::min(tiling.group_size, blocks.max_rows);
  tiling.head_tiles = CeilDivide(tiling.group_size, tiling.tile_heads);
  // Tiles are made smaller where there are not enough of them to go round.
  tiling.tile_rows = std::max<int64_t>(1, blocks.max_rows / tiling.tile_heads);
  const int64_t tasks_wanted = 4 * context.num_threads();
  while (tiling.tile_rows * tiling.tile_heads > 48 &&
         num_kv_heads * tiling.head_tiles * CeilDivide(tiling.num_rows, tiling.tile_rows) <
             tasks_wanted) {
    tiling.tile_rows = CeilDivide(tiling.tile_rows, 2);
  }
  tiling.row_tiles = CeilDivide(tiling.num_rows, tiling.tile_rows);
  return tiling;
}

void AttendInFloats(const Context& context, const PrefillAttentionParams& params) {
  const int64_t num_kv_heads = params.keys.dim(0);
  const Tiling tiling = FloatTiling(context, params);
  ParallelFor(context.num_threads(), num_kv_heads * tiling.tiles_of_a_head(),
              [&](int64_t t, int thread) {
                const RowTile rows = tiling.Tile(t, 0, num_kv_heads);
                AttentionTile tile(context, params.q.dim(2), params.scale, thread);
                AddRows(params, rows, tile);
                ForBlocks(params, rows, tile, tile.blocks().num_keys,
                          [&](const KeyBlock& block) { tile.Attend(block); });
                StoreRows(params, rows, tile);
              });
}

// Tiles of whole panels, of the size that keeps all threads busy longest: the time is that of the
// thread with most tiles, and a tile costs its rows and, for the keys and values that it reads, as
// much as a few rows more.
Tiling PairTiling(const Context& context, const PrefillAttentionParams& params,
                  int64_t num_kv_heads) {
  constexpr int64_t kReadingRows = 16;
  const int64_t max_rows = PairAttentionTile::MaxRows(params.q.dim(2));
  const int64_t width = context.kernels().panel_width;
  Tiling best{.group_size = params.q.dim(1) / params.keys.dim(0), .num_rows = params.q.dim(0)};
  best.tile_heads = std::min(best.group_size, max_rows);
  best.head_tiles = CeilDivide(best.group_size, best.tile_heads);
  int64_t best_cost = 0;
  for (int64_t rows = width; rows <= max_rows; rows += width) {
    const int64_t tile_rows = std::min(rows / best.tile_heads, best.num_rows);
    if (tile_rows == 0) continue;
    const int64_t row_tiles = CeilDivide(best.num_rows, tile_rows);
    const int64_t rounds =
        CeilDivide(num_kv_heads * best.head_tiles * row_tiles, context.num_threads());
    const int64_t cost = rounds * (RoundUp(tile_rows * best.tile_heads, width) + kReadingRows);
    if (best.tile_rows != 0 && cost > best_cost) continue;
    best_cost = cost;
    best.tile_rows = tile_rows;
    best.row_tiles = row_tiles;
  }
  return best;
}

// Blocks of values packed for all tiles of some KV heads, as many as the shared scratch holds.
struct PackedBlocks {
  int64_t first_block = 0, num_blocks = 0;  // of kPairKeys entries
  int64_t block_elements = 0;
  uint16_t* values = nullptr;  // [heads, num_blocks, block_elements]

  uint16_t* Block(int64_t head, int64_t block) const {
    return values + (head * num_blocks + block - first_block) * block_elements;
  }
  const uint16_t* Find(int64_t head, int64_t block) const {
    return block < first_block + num_blocks ? Block(head, block) : nullptr;
  }
};

}  // namespace

void PrefillAttentionInPairs(const Context& context, const PrefillAttentionParams& params) {
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t head_dim = params.q.dim(2);
  const int64_t end_entry = params.q_start + params.q.dim(0);
  if (params.q.dim(0) == 0) return;
  PackedBlocks packed{
      .first_block = FirstEntry(params, 0) / kPairKeys,
      .block_elements = PairAttentionTile::PackedValues(head_dim),
      .values = reinterpret_cast<uint16_t*>(context.SharedScratch()),
  };
  const int64_t num_blocks = CeilDivide(end_entry, kPairKeys) - packed.first_block;
  const int64_t capacity = 2 * Context::kSharedScratchFloats / packed.block_elements;
  int64_t heads_at_once = std::clamp<int64_t>(capacity / num_blocks, 1, num_kv_heads);
  Tiling tiling = PairTiling(context, params, heads_at_once);
  if (tiling.tiles_of_a_head() == 1) {
    // Nothing is read twice.
    heads_at_once = num_kv_heads;
    tiling = PairTiling(context, params, heads_at_once);
  } else {
    packed.num_blocks = std::min(num_blocks, capacity / heads_at_once);
  }
  for (int64_t head = 0; head < num_kv_heads; head += heads_at_once) {
    const int64_t num_heads = std::min(heads_at_once, num_kv_heads - head);
    ParallelFor(context.num_threads(), num_heads * packed.num_blocks, [&](int64_t i, int) {
      const int64_t block = packed.first_block + i % packed.num_blocks;
      const int64_t begin = block * kPairKeys;
      const ConstTensorView values = HeadOf(params.values, head + i / packed.num_blocks);
      context.kernels().pack_value_pairs(
          static_cast<const uint16_t*>(values.data()) + begin * values.stride(0), values.stride(0),
          std::min(kPairKeys, end_entry - begin), head_dim,
          packed.Block(i / packed.num_blocks, block));
    });
    ParallelFor(context.num_threads(), num_heads * tiling.tiles_of_a_head(),
                [&](int64_t t, int thread) {
                  const RowTile rows = tiling.Tile(t, head, num_heads);
                  PairAttentionTile tile(context, head_dim, params.scale, thread);
                  AddRows(params, rows, tile);
                  ForBlocks(params, rows, tile, kPairKeys, [&](const KeyBlock& block) {
                    tile.Attend(block, packed.Find(rows.kv_head - head, block.begin / kPairKeys));
                  });
                  tile.Finish();
                  StoreRows(params, rows, tile);
                });
  }
}

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
  const bool pairs = context.kernels().gemm_pairs != nullptr && params.q.dtype() == DType::kBF16 &&
                     params.keys.dtype() == DType::kBF16 &&
                     head_dim <= PairAttentionTile::kMaxHeadDim;
  if (pairs) {
    PrefillAttentionInPairs(context, params);
  } else {
    AttendInFloats(context, params);
  }
}

}  // namespace fastkv::cpu
