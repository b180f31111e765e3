// Products of many rows, as in prefill, in tiles through packed panels. How the work is cut changes
// no bit of a result (kernels.h).
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "backend/cpu/products.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

// A tile of out: kTileRows x kTileColumns sums stay in the last-level cache; kDepth columns of the
// weight tile, as panels, fill half the second-level cache, and kInputRows rows of x go over it.
constexpr int64_t kTileRows = 768;
constexpr int64_t kTileColumns = 256;
constexpr int64_t kDepth = 256;
constexpr int64_t kInputRows = 96;
// Keeps the rows of x from falling on the same sets of the first-level cache.
constexpr int64_t kInputStride = kDepth + 16;
static_assert(kTileRows * kTileColumns + kTileColumns * kDepth + kInputRows * kInputStride <=
              Context::kThreadScratchFloats);

struct Tile {
  const CpuWeight::Part* part = nullptr;
  int64_t row_begin = 0, row_end = 0;        // of x
  int64_t column_begin = 0, column_end = 0;  // of the part
};

// Sums of the tile over columns [k, k + step) of both matrices, by way of f32.
void AddFloatProducts(const Context& context, const MatMulParams& params, const Tile& tile,
                      int64_t k, int64_t step, float* sums) {
  const Kernels& kernels = context.kernels();
  float* const panels = sums + kTileRows * kTileColumns;
  float* const inputs = panels + kTileColumns * kDepth;
  const WeightRows& w = tile.part->rows;
  const int64_t num_columns = tile.column_end - tile.column_begin;
  kernels.weight(w.format).pack_transposed(w.At(tile.column_begin, k), w.row_bytes, num_columns,
                                           step, panels);
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kInputRows) {
    const int64_t num_rows = std::min(kInputRows, tile.row_end - row);
    kernels.expand_rows(ElementAt(params.x, row, k), params.x.dtype(), params.x.stride(0), num_rows,
                        step, inputs, kInputStride);
    kernels.gemm({.a = inputs,
                  .a_stride = kInputStride,
                  .b_panels = panels,
                  .b_panel_stride = kernels.panel_width * step,
                  .num_rows = num_rows,
                  .num_panels = CeilDivide(num_columns, kernels.panel_width),
                  .depth = step,
                  .c = sums + (row - tile.row_begin) * kTileColumns,
                  .c_stride = kTileColumns,
                  .accumulate = k > 0});
  }
}

// The same where x is bf16, the weight fits it, and the processor multiplies that.
void AddPairProducts(const Context& context, const MatMulParams& params, const Tile& tile,
                     int64_t k, int64_t step, float* sums) {
  static_assert(kDepth % kPairDepth == 0 && kInputRows % kPairRows == 0);
  const Kernels& kernels = context.kernels();
  auto* const panels = reinterpret_cast<uint32_t*>(sums + kTileRows * kTileColumns);
  auto* const inputs = reinterpret_cast<uint16_t*>(panels + kTileColumns * kDepth);
  const WeightRows& w = tile.part->rows;
  const int64_t num_columns = tile.column_end - tile.column_begin;
  const int64_t padded = RoundUp(step, kPairDepth);
  kernels.weight(w.format).pack_pairs(w.At(tile.column_begin, k), w.row_bytes, num_columns, step,
                                      panels);
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kInputRows) {
    const int64_t num_rows = std::min(kInputRows, tile.row_end - row);
    for (int64_t i = 0; i < num_rows; ++i) {
      uint16_t* input = inputs + i * kInputStride;
      std::memcpy(input, ElementAt(params.x, row + i, k), static_cast<size_t>(step) * 2);
      std::fill_n(input + step, padded - step, uint16_t{0});
    }
    kernels.gemm_pairs({.a = inputs,
                        .a_stride = kInputStride,
                        .b_panels = panels,
                        .b_panel_stride = kernels.panel_width * padded / 2,
                        .num_rows = num_rows,
                        .num_panels = CeilDivide(num_columns, kernels.panel_width),
                        .depth = padded,
                        .c = sums + (row - tile.row_begin) * kTileColumns,
                        .c_stride = kTileColumns,
                        .accumulate = k > 0});
  }
}

void MultiplyTile(const Context& context, const MatMulParams& params, const Tile& tile,
                  int thread) {
  float* const sums = context.ThreadScratch(thread);
  const int64_t depth = params.x.dim(1);
  const bool pairs = context.kernels().weight(tile.part->rows.format).pack_pairs != nullptr &&
                     params.x.dtype() == DType::kBF16;
  for (int64_t k = 0; k < depth; k += kDepth) {
    const int64_t step = std::min(kDepth, depth - k);
    if (pairs) {
      AddPairProducts(context, params, tile, k, step, sums);
    } else {
      AddFloatProducts(context, params, tile, k, step, sums);
    }
  }
  for (int64_t row = tile.row_begin; row < tile.row_end; ++row) {
    StoreSums(params, *tile.part, row, tile.column_begin, tile.column_end - tile.column_begin,
              sums + (row - tile.row_begin) * kTileColumns);
  }
}

}  // namespace

// Cuts the product into at least a few tiles a thread, smaller ones where it is small.
void MultiplyLong(const Context& context, const MatMulParams& params, const CpuWeight& weight) {
  constexpr int64_t kTilesPerThread = 4;
  const int64_t num_rows = params.x.dim(0);
  int64_t tile_rows = kTileRows;
  int64_t tile_columns = kTileColumns;
  const auto num_tiles = [&] {
    return CeilDivide(num_rows, tile_rows) * CeilDivide(weight.out_features(), tile_columns);
  };
  while (num_tiles() < kTilesPerThread * context.num_threads() && tile_columns > 64) {
    tile_columns /= 2;
  }
  while (num_tiles() < kTilesPerThread * context.num_threads() && tile_rows > kInputRows) {
    tile_rows /= 2;
  }
  const int64_t row_tiles = CeilDivide(num_rows, tile_rows);
  for (const CpuWeight::Part& part : weight.parts()) {
    const int64_t out_features = part.rows.num_rows;
    const int64_t column_tiles = CeilDivide(out_features, tile_columns);
    ParallelFor(context.num_threads(), row_tiles * column_tiles, [&](int64_t i, int thread) {
      const int64_t row = i % row_tiles * tile_rows;
      const int64_t column = i / row_tiles * tile_columns;
      MultiplyTile(context, params,
                   {.part = &part,
                    .row_begin = row,
                    .row_end = std::min(num_rows, row + tile_rows),
                    .column_begin = column,
                    .column_end = std::min(out_features, column + tile_columns)},
                   thread);
    });
  }
}

}  // namespace fastkv::cpu
