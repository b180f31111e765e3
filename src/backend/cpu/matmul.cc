// Products with weights: long ones in tiles through packed panels, short ones (decoding) straight
// from the stored rows. How the work is cut changes no bit of a result (kernels.h).
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "backend/cpu/cpu_weight.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
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

const char* RowData(const ConstTensorView& view, int64_t row, int64_t column) {
  return static_cast<const char*>(view.data()) +
         (row * view.stride(0) + column) * DTypeBytes(view.dtype());
}

// One row of sums to out[row, column ...]: adds the bias, then what is there.
void StoreSums(const MatMulParams& params, float* sums, int64_t row, int64_t column,
               int64_t count) {
  if (!params.bias.empty()) AddTo(sums, params.bias.As<float>() + column, count);
  const int64_t offset = row * params.out.stride(0) + column;
  if (params.out.dtype() == DType::kBF16) {
    FloatsToBFloat16(sums, params.out.As<BFloat16>() + offset, count);
    return;
  }
  float* out = params.out.As<float>() + offset;
  if (params.accumulate) {
    AddTo(out, sums, count);
  } else {
    std::copy_n(sums, count, out);
  }
}

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
  const ConstTensorView& w = tile.part->values;
  const int64_t num_columns = tile.column_end - tile.column_begin;
  kernels.pack_transposed(RowData(w, tile.column_begin, k), w.dtype(), w.stride(0), num_columns,
                          step, panels);
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kInputRows) {
    const int64_t num_rows = std::min(kInputRows, tile.row_end - row);
    kernels.expand_rows(RowData(params.x, row, k), params.x.dtype(), params.x.stride(0), num_rows,
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

// The same where both matrices are bf16 and the processor multiplies that.
void AddPairProducts(const Context& context, const MatMulParams& params, const Tile& tile,
                     int64_t k, int64_t step, float* sums) {
  static_assert(kDepth % kPairDepth == 0 && kInputRows % kPairRows == 0);
  const Kernels& kernels = context.kernels();
  auto* const panels = reinterpret_cast<uint32_t*>(sums + kTileRows * kTileColumns);
  auto* const inputs = reinterpret_cast<uint16_t*>(panels + kTileColumns * kDepth);
  const ConstTensorView& w = tile.part->values;
  const int64_t num_columns = tile.column_end - tile.column_begin;
  const int64_t padded = RoundUp(step, kPairDepth);
  kernels.pack_pairs(RowData(w, tile.column_begin, k), w.stride(0), num_columns, step, panels);
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kInputRows) {
    const int64_t num_rows = std::min(kInputRows, tile.row_end - row);
    for (int64_t i = 0; i < num_rows; ++i) {
      uint16_t* input = inputs + i * kInputStride;
      std::memcpy(input, RowData(params.x, row + i, k), static_cast<size_t>(step) * 2);
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
  const ConstTensorView& w = tile.part->values;
  const int64_t depth = w.dim(1);
  const bool pairs = context.kernels().gemm_pairs != nullptr && w.dtype() == DType::kBF16 &&
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
    StoreSums(params, sums + (row - tile.row_begin) * kTileColumns, row,
              tile.part->begin + tile.column_begin, tile.column_end - tile.column_begin);
  }
}

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
    const int64_t out_features = part.values.dim(0);
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

void MultiplyShort(const Context& context, const MatMulParams& params, const CpuWeight& weight) {
  // Outputs of a task: enough bytes of weight to be worth handing out, few enough to balance.
  constexpr int64_t kMaxTaskOutputs = 64;
  constexpr int64_t kMinTaskOutputs = 8;
  constexpr int64_t kTasksPerThread = 8;
  const Kernels& kernels = context.kernels();
  const int64_t num_rows = params.x.dim(0);
  const int64_t depth = weight.in_features();
  for (const CpuWeight::Part& part : weight.parts()) {
    const ConstTensorView& w = part.values;
    const int64_t task_outputs =
        std::clamp(RoundUp(w.dim(0) / (kTasksPerThread * context.num_threads()), kMinTaskOutputs),
                   kMinTaskOutputs, kMaxTaskOutputs);
    for (int64_t row = 0; row < num_rows; ++row) {
      kernels.prepare_input(RowData(params.x, row, 0), params.x.dtype(), w.dtype(), depth,
                            context.InputScratch() + row * depth);
    }
    ParallelFor(context.num_threads(), CeilDivide(w.dim(0), task_outputs),
                [&](int64_t i, int thread) {
                  const int64_t begin = i * task_outputs;
                  const int64_t count = std::min(task_outputs, w.dim(0) - begin);
                  float* sums = context.ThreadScratch(thread);
                  kernels.mat_vec({.x = context.InputScratch(),
                                   .x_stride = depth,
                                   .num_rows = num_rows,
                                   .w = RowData(w, begin, 0),
                                   .w_type = w.dtype(),
                                   .w_stride = w.stride(0),
                                   .num_outputs = count,
                                   .depth = depth,
                                   .out = sums,
                                   .out_stride = task_outputs});
                  for (int64_t row = 0; row < num_rows; ++row) {
                    StoreSums(params, sums + row * task_outputs, row, part.begin + begin, count);
                  }
                });
  }
}

}  // namespace

void EmbedTokens(const Context& context, const EmbedTokensParams& params) {
  const auto& table = static_cast<const CpuWeight&>(*params.table);
  const int64_t hidden_size = table.in_features();
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(1), hidden_size);
  context.ForRows(params.out.dim(0), hidden_size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t id = params.ids[i];
      FASTKV_CHECK_LE(0, id);
      FASTKV_CHECK_LT(id, table.out_features());
      const CpuWeight::Part& part = table.PartOf(id);
      context.kernels().expand_rows(RowData(part.values, id - part.begin, 0), part.values.dtype(),
                                    hidden_size, 1, hidden_size,
                                    params.out.As<float>() + i * params.out.stride(0), hidden_size);
    }
  });
}

void MatMul(const Context& context, const MatMulParams& params) {
  const auto& weight = static_cast<const CpuWeight&>(*params.weight);
  FASTKV_CHECK(params.x.dtype() == context.types().activation);
  FASTKV_CHECK(params.out.dtype() == DType::kF32 ||
               params.out.dtype() == context.types().activation);
  FASTKV_CHECK(!params.accumulate || params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.x.dim(1), weight.in_features());
  FASTKV_CHECK_EQ(params.out.dim(0), params.x.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), weight.out_features());
  if (params.x.dim(0) <= kMatVecRows) {
    MultiplyShort(context, params, weight);
  } else {
    MultiplyLong(context, params, weight);
  }
}

}  // namespace fastkv::cpu
