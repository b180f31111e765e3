// Attention of many rows: tiles of entries pass through shared memory, scores and sums stay in
// registers (the online softmax of FlashAttention-2, arXiv 2307.08691). The query heads of a group
// are rows of one block, so that a tile of keys and values is fetched once for all of them.
#include <cuda_runtime.h>

#include "backend/cuda/attention.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kTile = 64;  // entries
constexpr int kStages = 2;

// kDim: the head size, rounded up to what there is a kernel for; the rest is zeros.
// kRowTiles: 16-row tiles a warp owns.
template <int kDim, int kRowTiles>
struct Shape {
  static constexpr int kChunks = kDim / 8;  // 16-byte chunks of a row
  static constexpr int kRows = kWarps * kRowTiles * 16;
  static constexpr int kQueryBytes = kRows * kDim * 2;
  static constexpr int kTileBytes = kTile * kDim * 2;
  static constexpr int kSharedBytes = kQueryBytes + 2 * kStages * kTileBytes;

  // Chunks are permuted within a row so that the eight rows an ldmatrix reads lie in distinct
  // banks.
  static __device__ __forceinline__ uint32_t Offset(int row, int chunk) {
    return static_cast<uint32_t>((row * kChunks + (chunk ^ (row & 7))) * 16);
  }
};

// Where `visible` rows of the block may still see something: entries at lower positions than every
// row's window are skipped a tile at a time.
__device__ int64_t FirstTile(const HeadKv<BF16>& kv, int64_t oldest, int64_t num_tiles) {
  int64_t low = 0;
  int64_t high = num_tiles - 1;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    const int64_t last_entry = min(kv.num_entries, (middle + 1) * kTile) - 1;
    if (kv.Position(last_entry) > oldest) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

template <int kDim, int kRowTiles>
__global__ void __launch_bounds__(kThreads)
    FlashAttentionKernel(const __grid_constant__ SequenceAttention a) {
  using S = Shape<kDim, kRowTiles>;
  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t query_base = SharedAddress(shared);
  const uint32_t key_base = query_base + S::kQueryBytes;
  const uint32_t value_base = key_base + kStages * S::kTileBytes;

  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int pair = lane % 4 * 2;
  const int kv_head = blockIdx.y;
  const HeadKv<BF16> kv(a.kv, a.head_begin, kv_head, a.head_dim);
  const int64_t num_rows = a.q_len * a.group_size;
  // The last rows see the most: they start first.
  const int64_t first_row = (gridDim.x - 1 - blockIdx.x) * int64_t{S::kRows};
  const int64_t last_row = min(num_rows, first_row + S::kRows) - 1;
  const int64_t num_hidden_last = a.kv.tail_len == 0 ? 0 : a.q_len - 1;
  const auto visible_to_row = [&](int64_t row) {
    return kv.num_entries - (num_hidden_last == 0 ? 0 : num_hidden_last - row / a.group_size);
  };
  const int64_t first_visible = visible_to_row(first_row);
  const int64_t num_tiles = (visible_to_row(last_row) + kTile - 1) / kTile;

  const auto* q = static_cast<const BF16*>(a.q) + kv_head * int64_t{a.group_size} * a.head_dim;
  for (int i = threadIdx.x; i < S::kRows * S::kChunks; i += kThreads) {
    const int r = i / S::kChunks;
    const int chunk = i % S::kChunks;
    const int64_t row = first_row + r;
    const bool valid = row <= last_row && chunk * 8 < a.head_dim;
    const int64_t token = row / a.group_size;
    const BF16* from =
        q + token * a.q_stride + (row - token * a.group_size) * a.head_dim + chunk * 8;
    CopyAsync16(query_base + S::Offset(r, chunk), valid ? from : q, valid);
  }
  const auto load_tile = [&](int64_t tile, int stage) {
    constexpr int kRowsPerPass = kThreads / S::kChunks;
    const int chunk = threadIdx.x % S::kChunks;
#pragma unroll
    for (int k = 0; k < kTile / kRowsPerPass; ++k) {
      const int r = threadIdx.x / S::kChunks + k * kRowsPerPass;
      const int64_t entry = tile * kTile + r;
      const bool valid = entry < kv.num_entries && chunk * 8 < a.head_dim;
      const int64_t source = valid ? entry : 0;
      const int offset = valid ? chunk * 8 : 0;
      const uint32_t to = stage * S::kTileBytes + S::Offset(r, chunk);
      CopyAsync16(key_base + to, kv.Key(source) + offset, valid);
      CopyAsync16(value_base + to, kv.Value(source) + offset, valid);
    }
  };

  // Rows of this thread: (warp kRowTiles + i) 16 + group + 8 j.
  int visible[kRowTiles][2];
  int oldest[kRowTiles][2];
  int64_t block_oldest = INT64_MIN;
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int64_t row = min(last_row, first_row + (warp * kRowTiles + i) * 16 + group + 8 * j);
      visible[i][j] = static_cast<int>(visible_to_row(row));
      oldest[i][j] =
          a.window > 0 ? static_cast<int>(kv.Position(visible[i][j] - 1) - a.window) : INT32_MIN;
    }
  }
  if (a.window > 0) block_oldest = int64_t{kv.Position(first_visible - 1)} - a.window;
  const int64_t first_tile = a.window > 0 ? FirstTile(kv, block_oldest, num_tiles) : 0;

  const float scale = a.scale * kLog2E;
  float largest[kRowTiles][2];
  float sum[kRowTiles][2] = {};
  float out[kRowTiles][kDim / 8][4] = {};
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) largest[i][0] = largest[i][1] = -INFINITY;

  load_tile(first_tile, 0);
  CommitCopies();
  for (int64_t tile = first_tile; tile < num_tiles; ++tile) {
    const int stage = static_cast<int>((tile - first_tile) % kStages);
    if (tile + 1 < num_tiles) load_tile(tile + 1, 1 - stage);
    CommitCopies();
    WaitForCopies<1>();
    __syncthreads();

    float scores[kRowTiles][kTile / 8][4] = {};
    const uint32_t keys = key_base + stage * S::kTileBytes;
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
      uint32_t query[kRowTiles][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        const int r = (warp * kRowTiles + i) * 16 + lane % 16;
        LoadMatrices(query[i], query_base + S::Offset(r, step * 2 + lane / 16));
      }
#pragma unroll
      for (int n = 0; n < kTile / 16; ++n) {
        uint32_t key[4];
        const int r = n * 16 + lane % 8 + lane / 16 * 8;
        LoadMatrices(key, keys + S::Offset(r, step * 2 + lane / 8 % 2));
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          MultiplyAdd(scores[i][2 * n], query[i][0], query[i][1], query[i][2], query[i][3], key[0],
                      key[1]);
          MultiplyAdd(scores[i][2 * n + 1], query[i][0], query[i][1], query[i][2], query[i][3],
                      key[2], key[3]);
        }
      }
    }

    const int first_entry = static_cast<int>(tile * kTile);
    if (a.window > 0 || first_entry + kTile > first_visible) {
#pragma unroll
      for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const int entry = first_entry + n * 8 + pair + k;
          const int position = a.window > 0 && entry < kv.num_entries ? kv.Position(entry) : 0;
#pragma unroll
          for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
            for (int j = 0; j < 2; ++j) {
              const bool sees = entry < visible[i][j] && (a.window == 0 || position > oldest[i][j]);
              if (!sees) scores[i][n][2 * j + k] = -INFINITY;
            }
          }
        }
      }
    }

#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        float row_largest = -INFINITY;
#pragma unroll
        for (int n = 0; n < kTile / 8; ++n) {
          row_largest = fmaxf(row_largest, fmaxf(scores[i][n][2 * j], scores[i][n][2 * j + 1]));
        }
        row_largest = fmaxf(row_largest, __shfl_xor_sync(kFullMask, row_largest, 1));
        row_largest = fmaxf(row_largest, __shfl_xor_sync(kFullMask, row_largest, 2));
        const float new_largest = fmaxf(largest[i][j], row_largest * scale);
        // A row that has seen nothing yet: any finite value keeps its exponentials at 0.
        const float base = new_largest == -INFINITY ? 0.0f : new_largest;
        const float correction = Exp2(largest[i][j] - base);
        largest[i][j] = new_largest;
        float row_sum = 0;
#pragma unroll
        for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
          for (int k = 2 * j; k < 2 * j + 2; ++k) {
            scores[i][n][k] = Exp2(fmaf(scores[i][n][k], scale, -base));
            row_sum += scores[i][n][k];
          }
        }
        sum[i][j] = sum[i][j] * correction + row_sum;
#pragma unroll
        for (int d = 0; d < kDim / 8; ++d) {
          out[i][d][2 * j] *= correction;
          out[i][d][2 * j + 1] *= correction;
        }
      }
    }

    const uint32_t values = value_base + stage * S::kTileBytes;
#pragma unroll
    for (int step = 0; step < kTile / 16; ++step) {
      uint32_t weights[kRowTiles][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        const float(&even)[4] = scores[i][2 * step];
        const float(&odd)[4] = scores[i][2 * step + 1];
        weights[i][0] = PackBF16(even[0], even[1]);
        weights[i][1] = PackBF16(even[2], even[3]);
        weights[i][2] = PackBF16(odd[0], odd[1]);
        weights[i][3] = PackBF16(odd[2], odd[3]);
      }
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        uint32_t value[4];
        LoadMatricesTransposed(value, values + S::Offset(step * 16 + lane % 16, d * 2 + lane / 16));
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          MultiplyAdd(out[i][2 * d], weights[i][0], weights[i][1], weights[i][2], weights[i][3],
                      value[0], value[1]);
          MultiplyAdd(out[i][2 * d + 1], weights[i][0], weights[i][1], weights[i][2], weights[i][3],
                      value[2], value[3]);
        }
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float total = sum[i][j];
      total += __shfl_xor_sync(kFullMask, total, 1);
      total += __shfl_xor_sync(kFullMask, total, 2);
      const int64_t row = first_row + (warp * kRowTiles + i) * 16 + group + 8 * j;
      if (row > last_row) continue;
      const int64_t token = row / a.group_size;
      const int64_t q_head = kv_head * int64_t{a.group_size} + (row - token * a.group_size);
      const float inverse = 1.0f / total;
      BF16* to = static_cast<BF16*>(a.out) + token * a.out_stride + q_head * a.head_dim;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) {
        if (d * 8 >= a.head_dim) break;
        *reinterpret_cast<uint32_t*>(to + d * 8 + pair) =
            PackBF16(out[i][d][2 * j] * inverse, out[i][d][2 * j + 1] * inverse);
      }
      if (a.log_sum_exp != nullptr && pair == 0) {
        a.log_sum_exp[token * a.log_sum_exp_stride + q_head] = largest[i][j] * kLn2 + logf(total);
      }
    }
  }
}

template <int kDim, int kRowTiles>
void Launch(const Context& context, const SequenceAttention& a) {
  using S = Shape<kDim, kRowTiles>;
  const auto kernel = FlashAttentionKernel<kDim, kRowTiles>;
  FASTKV_CUDA_CHECK(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes));
  const dim3 grid(GridX(CeilDivide(a.q_len * a.group_size, S::kRows)),
                  static_cast<unsigned>(a.num_kv_heads));
  kernel<<<grid, kThreads, S::kSharedBytes, context.stream>>>(a);
  FASTKV_CHECK_LAUNCH("FlashAttentionKernel");
}

}  // namespace

bool FlashAttentionFits(const Context& context, const SequenceAttention& a) {
  const bool fits_shared_memory =
      a.head_dim <= 128 || Shape<256, 1>::kSharedBytes <= context.max_shared_bytes;
  return context.type == DType::kBF16 && a.head_dim % 8 == 0 && a.head_dim <= kMaxHeadDim &&
         fits_shared_memory && a.q_stride % 8 == 0 && a.out_stride % 2 == 0 &&
         a.kv.tail_key_stride % 8 == 0 && a.kv.tail_value_stride % 8 == 0 && IsAligned(a.q, 16) &&
         IsAligned(a.out, 4) && IsAligned(a.kv.frozen_keys, 16) &&
         IsAligned(a.kv.frozen_values, 16) && IsAligned(a.kv.tail_keys, 16) &&
         IsAligned(a.kv.tail_values, 16);
}

void FlashAttention(const Context& context, const SequenceAttention& a) {
  FASTKV_CHECK_LE(a.head_begin[a.num_kv_heads] + a.kv.tail_len, INT32_MAX / 2);
  if (a.head_dim <= 64) {
    Launch<64, 2>(context, a);
  } else if (a.head_dim <= 128) {
    Launch<128, 2>(context, a);
  } else {
    Launch<256, 1>(context, a);
  }
}

}  // namespace fastkv::cuda
