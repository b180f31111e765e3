// Attention of few rows over a cache. The entries of a head are split over blocks, each entry is
// read once for all query heads of its group, and the block that finishes last merges the parts in
// order, so the result does not depend on which one that is. How a sequence is split depends on its
// own lengths alone: its result is the same whatever else is in the batch.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cuda/attention.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/launch_early.cuh"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kTile = 16;            // entries a warp takes at a time
constexpr int kSplitMultiple = 128;  // of entries: a tile for each of eight warps
constexpr int kRows = 16;            // query rows (token, head of the group) of a block
constexpr int kMaxSplits = 64;
// From here on FlashAttention's larger tiles win.
constexpr int64_t kMaxRowsPerKvHead = 64;
constexpr int kInlineKvHeads = 32;

__host__ __device__ __forceinline__ int64_t SplitEntries(int64_t num_entries) {
  constexpr int64_t kFewSplits = 16;
  constexpr int64_t kManyEntries = 32768;  // enough for each of kMaxSplits parts
  const int64_t splits = num_entries > kManyEntries ? kMaxSplits : kFewSplits;
  const int64_t entries = (num_entries + splits - 1) / splits;
  return (entries + kSplitMultiple - 1) / kSplitMultiple * kSplitMultiple;
}

__host__ __device__ __forceinline__ int NumSplits(int64_t num_entries) {
  const int64_t entries = SplitEntries(num_entries);
  return entries == 0 ? 1 : static_cast<int>((num_entries + entries - 1) / entries);
}

struct KernelParams {
  // In device memory; null for a single sequence, which then travels in the launch itself.
  const SequenceKv* sequences;
  const int64_t* head_begins;  // [num_sequences, num_kv_heads + 1]
  SequenceKv inline_sequence;
  int64_t inline_head_begin[kInlineKvHeads + 1];
  const BF16* q;
  int64_t q_stride;
  BF16* out;
  int64_t out_stride;
  float* log_sum_exp;  // [sequence, q_len, num_q_heads] or null
  int64_t log_sum_exp_stride;
  int64_t q_len;
  int64_t window;
  float scale;
  int num_kv_heads;
  int group_size;
  int head_dim;
  int row_tiles;
  int max_splits;
  int rows_per_tile;      // of a partial result
  float* partial_out;     // [sequence, KV head, row tile, split, rows_per_tile, head_dim]
  SoftmaxState* partial;  // [sequence, KV head, row tile, split, rows_per_tile]
  uint32_t* counters;     // [sequence, KV head, row tile]
};

template <int kDim, int kWarpCount>
struct Shape {
  static constexpr int kWarps = kWarpCount;
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kChunks = kDim / 8;
  static constexpr int kStages = kDim <= 128 ? 3 : 2;
  static constexpr int kTileBytes = kTile * kDim * 2;
  static constexpr int kStageBytes = 2 * kTileBytes;  // keys, values
  static constexpr int kWarpBytes = kStages * kStageBytes;
  static constexpr int kSharedBytes = kWarps * kWarpBytes;
  static_assert(kWarpBytes >= kRows * kDim * 4, "a warp's sums take the place of its stages");

  static __device__ __forceinline__ uint32_t Offset(int row, int chunk) {
    return static_cast<uint32_t>((row * kChunks + (chunk ^ (row & 7))) * 16);
  }
};

// Where the result of a row of a KV head goes; row r is token r / group_size of the sequence.
__device__ __forceinline__ BF16* OutputRow(const KernelParams& p, int64_t sequence, int kv_head,
                                           int row) {
  const int token = row / p.group_size;
  const int q_head = kv_head * p.group_size + (row - token * p.group_size);
  return p.out + (sequence * p.q_len + token) * p.out_stride + int64_t{q_head} * p.head_dim;
}

// The same for the row's normaliser, from the largest score in base 2 and the sum above it.
__device__ __forceinline__ void StoreLogSumExp(const KernelParams& p, int64_t sequence, int kv_head,
                                               int row, float largest, float sum) {
  if (p.log_sum_exp == nullptr) return;
  const int token = row / p.group_size;
  const int q_head = kv_head * p.group_size + (row - token * p.group_size);
  p.log_sum_exp[(sequence * p.q_len + token) * p.log_sum_exp_stride + q_head] =
      largest * kLn2 + logf(sum);
}

// The parts of all splits of this block's rows, merged in split order; a warp a row.
template <int kWarps>
__device__ void MergeSplits(const KernelParams& p, int64_t cell, int num_splits, int num_rows,
                            int first_row, int kv_head, int64_t sequence) {
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  for (int r = warp; r < num_rows; r += kWarps) {
    constexpr int kPerLane = kMaxSplits / kWarpSize;
    float largest[kPerLane];
    float weight[kPerLane];
    float row_largest = -INFINITY;
#pragma unroll
    for (int k = 0; k < kPerLane; ++k) {
      const int split = lane + k * kWarpSize;
      largest[k] = -INFINITY;
      weight[k] = 0;
      if (split < num_splits) {
        const auto* state = &p.partial[(cell * p.max_splits + split) * p.rows_per_tile + r];
        largest[k] = __ldcg(&state->largest);
        weight[k] = __ldcg(&state->sum);
      }
      row_largest = fmaxf(row_largest, largest[k]);
    }
    row_largest = WarpMax(row_largest);
    float total = 0;
    float factor[kPerLane];
#pragma unroll
    for (int k = 0; k < kPerLane; ++k) {
      factor[k] = largest[k] == -INFINITY ? 0.0f : Exp2(largest[k] - row_largest);
      total += weight[k] * factor[k];
    }
    const float sum_of_splits = WarpSum(total);
    const float inverse = 1.0f / sum_of_splits;
    if (lane == 0) {
      StoreLogSumExp(p, sequence, kv_head, first_row + r, row_largest, sum_of_splits);
    }

    BF16* to = OutputRow(p, sequence, kv_head, first_row + r);
    const int64_t split_stride = int64_t{p.rows_per_tile} * p.head_dim;
    const float* from = p.partial_out + cell * p.max_splits * split_stride + r * p.head_dim;
    const int num_packs = p.head_dim / 4;
    for (int base = 0; base < num_packs; base += kWarpSize) {
      const int pack = base + lane;
      float4 sum = {};
#pragma unroll
      for (int k = 0; k < kPerLane; ++k) {
        const int here = min(kWarpSize, num_splits - k * kWarpSize);
#pragma unroll 16
        for (int s = 0; s < here; ++s) {
          const float w = __shfl_sync(kFullMask, factor[k], s);
          if (pack >= num_packs) continue;
          const float4 part = __ldcg(
              reinterpret_cast<const float4*>(from + (k * kWarpSize + s) * split_stride) + pack);
          sum.x += w * part.x;
          sum.y += w * part.y;
          sum.z += w * part.z;
          sum.w += w * part.w;
        }
      }
      if (pack < num_packs) {
        *reinterpret_cast<uint2*>(to + pack * 4) = uint2{
            PackBF16(sum.x * inverse, sum.y * inverse), PackBF16(sum.z * inverse, sum.w * inverse)};
      }
    }
  }
}

// Grid: (split, KV head x row tile, sequence).
template <int kDim, int kWarpCount>
__global__ void __launch_bounds__(kWarpCount* kWarpSize)
    CachedAttentionKernel(const __grid_constant__ KernelParams p) {
  using S = Shape<kDim, kWarpCount>;
  constexpr int kWarps = S::kWarps;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ SoftmaxState warp_states[kWarps][kRows];
  __shared__ bool is_last;
  AdmitNextKernel();
  AwaitEarlierKernels();

  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int pair = lane % 4 * 2;
  const int kv_head = blockIdx.y / p.row_tiles;
  const int row_tile = blockIdx.y - kv_head * p.row_tiles;
  const int64_t sequence = blockIdx.z;
  const bool is_inline = p.sequences == nullptr;
  const SequenceKv& source = is_inline ? p.inline_sequence : p.sequences[sequence];
  const int64_t* head_begin =
      is_inline ? p.inline_head_begin : p.head_begins + sequence * (p.num_kv_heads + 1);
  const HeadKv<BF16> kv(source, head_begin, kv_head, p.head_dim);
  const int num_splits = NumSplits(kv.num_entries);
  const int split = blockIdx.x;
  if (split >= num_splits) return;
  const int64_t split_entries = SplitEntries(kv.num_entries);
  const int64_t begin = split * split_entries;
  const int64_t end = min(kv.num_entries, begin + split_entries);

  const int first_row = row_tile * kRows;
  const int num_rows = min(kRows, static_cast<int>(p.q_len) * p.group_size - first_row);
  const int num_hidden_last = source.tail_len == 0 ? 0 : static_cast<int>(p.q_len) - 1;

  // This thread's rows: group and group + 8.
  uint32_t query[kDim / 16][4];
  int64_t visible[2];
  int64_t oldest[2];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const int r = group + 8 * j;
    const int row = first_row + min(r, num_rows - 1);
    const int token = row / p.group_size;
    const int q_head = kv_head * p.group_size + (row - token * p.group_size);
    visible[j] = kv.num_entries - (num_hidden_last == 0 ? 0 : num_hidden_last - token);
    oldest[j] = p.window > 0 ? kv.Position(visible[j] - 1) - p.window : INT64_MIN;
    const BF16* from =
        p.q + (sequence * p.q_len + token) * p.q_stride + int64_t{q_head} * p.head_dim;
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const int c = step * 16 + k * 8 + pair;
        query[step][j + 2 * k] =
            r < num_rows && c < p.head_dim ? *reinterpret_cast<const uint32_t*>(from + c) : 0u;
      }
    }
  }

  // Each warp has its own stages and takes every kWarps-th tile: no barrier until the end.
  const uint32_t stages = SharedAddress(shared) + warp * S::kWarpBytes;
  const int num_tiles = static_cast<int>((end - begin + kTile - 1) / kTile);
  const int my_tiles = num_tiles > warp ? (num_tiles - warp + kWarps - 1) / kWarps : 0;
  const auto first_entry = [&](int k) { return begin + (warp + int64_t{k} * kWarps) * kTile; };
  const auto load_tile = [&](int k) {
    if (k < my_tiles) {
      const uint32_t to = stages + k % S::kStages * S::kStageBytes;
      constexpr int kPasses = kTile * S::kChunks / kWarpSize;
#pragma unroll
      for (int pass = 0; pass < kPasses; ++pass) {
        const int i = pass * kWarpSize + lane;
        const int r = i / S::kChunks;
        const int chunk = i % S::kChunks;
        const int64_t entry = first_entry(k) + r;
        const bool valid = entry < end && chunk * 8 < p.head_dim;
        const int64_t from = valid ? entry : begin;
        const int offset = valid ? chunk * 8 : 0;
        CopyAsync16(to + S::Offset(r, chunk), kv.Key(from) + offset, valid);
        CopyAsync16(to + S::kTileBytes + S::Offset(r, chunk), kv.Value(from) + offset, valid);
      }
    }
    CommitCopies();
  };

  const float scale = p.scale * kLog2E;
  float largest[2] = {-INFINITY, -INFINITY};
  float sum[2] = {};
  float out[kDim / 8][4] = {};
#pragma unroll
  for (int k = 0; k < S::kStages - 1; ++k) load_tile(k);
  for (int k = 0; k < my_tiles; ++k) {
    load_tile(k + S::kStages - 1);
    WaitForCopies<S::kStages - 1>();
    __syncwarp();
    const uint32_t keys = stages + k % S::kStages * S::kStageBytes;
    const uint32_t values = keys + S::kTileBytes;
    float scores[2][4] = {};
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
      uint32_t key[4];
      LoadMatrices(key, keys + S::Offset(lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
      MultiplyAdd(scores[0], query[step][0], query[step][1], query[step][2], query[step][3], key[0],
                  key[1]);
      MultiplyAdd(scores[1], query[step][0], query[step][1], query[step][2], query[step][3], key[2],
                  key[3]);
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int64_t entry = first_entry(k) + n * 8 + pair + c;
        const int64_t position = p.window > 0 && entry < end ? kv.Position(entry) : 0;
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const bool sees = entry < min(end, visible[j]) && (p.window == 0 || position > oldest[j]);
          scores[n][2 * j + c] = sees ? scores[n][2 * j + c] * scale : -INFINITY;
        }
      }
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float tile_largest = fmaxf(fmaxf(scores[0][2 * j], scores[0][2 * j + 1]),
                                 fmaxf(scores[1][2 * j], scores[1][2 * j + 1]));
      tile_largest = fmaxf(tile_largest, __shfl_xor_sync(kFullMask, tile_largest, 1));
      tile_largest = fmaxf(tile_largest, __shfl_xor_sync(kFullMask, tile_largest, 2));
      const float new_largest = fmaxf(largest[j], tile_largest);
      const float base = new_largest == -INFINITY ? 0.0f : new_largest;
      const float correction = Exp2(largest[j] - base);
      largest[j] = new_largest;
      sum[j] *= correction;
#pragma unroll
      for (int n = 0; n < 2; ++n) {
#pragma unroll
        for (int c = 2 * j; c < 2 * j + 2; ++c) {
          scores[n][c] = Exp2(scores[n][c] - base);
          sum[j] += scores[n][c];
        }
      }
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) {
        out[d][2 * j] *= correction;
        out[d][2 * j + 1] *= correction;
      }
    }
    const uint32_t w0 = PackBF16(scores[0][0], scores[0][1]);
    const uint32_t w1 = PackBF16(scores[0][2], scores[0][3]);
    const uint32_t w2 = PackBF16(scores[1][0], scores[1][1]);
    const uint32_t w3 = PackBF16(scores[1][2], scores[1][3]);
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
      uint32_t value[4];
      LoadMatricesTransposed(value, values + S::Offset(lane % 16, d * 2 + lane / 16));
      MultiplyAdd(out[2 * d], w0, w1, w2, w3, value[0], value[1]);
      MultiplyAdd(out[2 * d + 1], w0, w1, w2, w3, value[2], value[3]);
    }
    __syncwarp();
  }

  // The block's warps meet in shared memory.
  WaitForCopies<0>();
  __syncwarp();
  float* warp_out = reinterpret_cast<float*>(shared + warp * S::kWarpBytes);
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    float total = sum[j];
    total += __shfl_xor_sync(kFullMask, total, 1);
    total += __shfl_xor_sync(kFullMask, total, 2);
    const int r = group + 8 * j;
    if (pair == 0) warp_states[warp][r] = {largest[j], total};
    if (r < num_rows) {
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) {
        *reinterpret_cast<float2*>(warp_out + r * kDim + d * 8 + pair) =
            float2{out[d][2 * j], out[d][2 * j + 1]};
      }
    }
  }
  __syncthreads();
  const int64_t cell = (sequence * p.num_kv_heads + kv_head) * p.row_tiles + row_tile;
  const int64_t slot = (cell * p.max_splits + split) * p.rows_per_tile;
  for (int r = warp; r < num_rows; r += kWarps) {
    float block_largest = -INFINITY;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      block_largest = fmaxf(block_largest, warp_states[w][r].largest);
    }
    float block_sum = 0;
    float factor[kWarps];
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const SoftmaxState state = warp_states[w][r];
      factor[w] = state.largest == -INFINITY ? 0.0f : Exp2(state.largest - block_largest);
      block_sum += factor[w] * state.sum;
    }
    const float inverse = 1.0f / block_sum;
    for (int c = lane * 4; c < p.head_dim; c += kWarpSize * 4) {
      float4 value = {};
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        const float4 part = *reinterpret_cast<const float4*>(
            reinterpret_cast<const float*>(shared + w * S::kWarpBytes) + r * kDim + c);
        value.x += factor[w] * part.x;
        value.y += factor[w] * part.y;
        value.z += factor[w] * part.z;
        value.w += factor[w] * part.w;
      }
      if (num_splits == 1) {
        *reinterpret_cast<uint2*>(OutputRow(p, sequence, kv_head, first_row + r) + c) =
            uint2{PackBF16(value.x * inverse, value.y * inverse),
                  PackBF16(value.z * inverse, value.w * inverse)};
      } else {
        *reinterpret_cast<float4*>(p.partial_out + (slot + r) * p.head_dim + c) = value;
      }
    }
    if (lane != 0) continue;
    if (num_splits > 1) {
      p.partial[slot + r] = {block_largest, block_sum};
    } else {
      StoreLogSumExp(p, sequence, kv_head, first_row + r, block_largest, block_sum);
    }
  }
  if (num_splits == 1) return;

  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(&p.counters[cell], 1u) == static_cast<uint32_t>(num_splits - 1);
    if (is_last) p.counters[cell] = 0;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  MergeSplits<kWarps>(p, cell, num_splits, num_rows, first_row, kv_head, sequence);
}

constexpr int kUploadThreads = 128;
constexpr int64_t kUploadBytes = 2048;

// A launch's parameters are copied when it is enqueued: host data reaches the device in stream
// order without pinned memory that would have to outlive the operation.
struct UploadChunk {
  uint64_t words[kUploadBytes / 8];
};

__global__ void UploadKernel(const __grid_constant__ UploadChunk chunk, int num_words,
                             uint64_t* to) {
  for (int i = threadIdx.x; i < num_words; i += blockDim.x) to[i] = chunk.words[i];
}

void Upload(const Context& context, const void* from, int64_t num_bytes, void* to) {
  FASTKV_CHECK_EQ(num_bytes % 8, 0);
  for (int64_t offset = 0; offset < num_bytes; offset += kUploadBytes) {
    UploadChunk chunk;
    const int64_t here = std::min(kUploadBytes, num_bytes - offset);
    std::memcpy(chunk.words, static_cast<const std::byte*>(from) + offset,
                static_cast<size_t>(here));
    UploadKernel<<<1, kUploadThreads, 0, context.stream>>>(
        chunk, static_cast<int>(here / 8),
        reinterpret_cast<uint64_t*>(static_cast<std::byte*>(to) + offset));
    FASTKV_CHECK_LAUNCH("UploadKernel");
  }
}

SequenceKv ToSequenceKv(const KvLayerView& layer) {
  FASTKV_CHECK(layer.frozen_key_scales == nullptr);
  SequenceKv kv = {};
  if (!layer.frozen_keys.empty()) {
    kv.frozen_keys = layer.frozen_keys.data();
    kv.frozen_values = layer.frozen_values.data();
    kv.frozen_positions = layer.frozen_positions;
  }
  if (!layer.tail_keys.empty()) {
    kv.tail_keys = layer.tail_keys.data();
    kv.tail_values = layer.tail_values.data();
    kv.tail_positions = layer.tail_positions;
    kv.tail_key_stride = layer.tail_keys.stride(0);
    kv.tail_value_stride = layer.tail_values.stride(0);
    kv.tail_len = layer.tail_keys.dim(1);
  }
  return kv;
}

int64_t NumKvHeads(const KvLayerView& layer) {
  if (!layer.tail_keys.empty()) return layer.tail_keys.dim(0);
  return static_cast<int64_t>(layer.head_begin.size()) - 1;
}

// [num_kv_heads + 1]; zeros where there is no frozen part.
void CopyHeadBegin(const KvLayerView& layer, int64_t num_kv_heads, int64_t* to) {
  for (int64_t a = 0; a <= num_kv_heads; ++a) {
    to[a] = layer.frozen_keys.empty() ? 0 : layer.head_begin[a];
  }
}

SequenceAttention ToSequenceAttention(const CachedAttentionParams& params, int64_t index,
                                      int64_t num_kv_heads) {
  const KvLayerView& layer = params.sequences[index];
  SequenceAttention a = {};
  a.kv = ToSequenceKv(layer);
  CopyHeadBegin(layer, num_kv_heads, a.head_begin);
  const ConstTensorView q = params.q.Rows(index * params.q_len, (index + 1) * params.q_len);
  const TensorView out = params.out.Rows(index * params.q_len, (index + 1) * params.q_len);
  a.q = q.data();
  a.q_stride = q.stride(0);
  a.out = out.data();
  a.out_stride = out.stride(0);
  if (!params.log_sum_exp.empty()) {
    const TensorView rows =
        params.log_sum_exp.Rows(index * params.q_len, (index + 1) * params.q_len);
    a.log_sum_exp = rows.As<float>();
    a.log_sum_exp_stride = rows.stride(0);
  }
  a.q_len = params.q_len;
  a.window = std::min<int64_t>(params.window, INT32_MAX);
  a.scale = params.scale;
  a.num_kv_heads = static_cast<int>(num_kv_heads);
  a.group_size = static_cast<int>(q.dim(1) / num_kv_heads);
  a.head_dim = static_cast<int>(q.dim(2));
  return a;
}

template <int kDim, int kWarps>
void Launch(const Context& context, const KernelParams& p, int64_t num_sequences) {
  using S = Shape<kDim, kWarps>;
  const auto kernel = CachedAttentionKernel<kDim, kWarps>;
  FASTKV_CUDA_CHECK(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes));
  const dim3 grid(static_cast<unsigned>(p.max_splits),
                  static_cast<unsigned>(p.num_kv_heads * p.row_tiles),
                  static_cast<unsigned>(num_sequences));
  LaunchEarly(context, "CachedAttentionKernel", kernel, grid, S::kThreads, S::kSharedBytes, p);
}

// Sequences [begin, begin + count) of the batch, all of which the kernel takes.
void LaunchSplit(const Context& context, const CachedAttentionParams& params, int64_t begin,
                 int64_t count, KernelParams p, std::byte* partials) {
  const int64_t num_kv_heads = p.num_kv_heads;
  if (count == 1 && num_kv_heads <= kInlineKvHeads) {
    p.inline_sequence = ToSequenceKv(params.sequences[begin]);
    CopyHeadBegin(params.sequences[begin], num_kv_heads, p.inline_head_begin);
  } else {
    std::vector<SequenceKv> sequences(count);
    std::vector<int64_t> head_begins(count * (num_kv_heads + 1));
    for (int64_t i = 0; i < count; ++i) {
      sequences[i] = ToSequenceKv(params.sequences[begin + i]);
      CopyHeadBegin(params.sequences[begin + i], num_kv_heads,
                    &head_begins[i * (num_kv_heads + 1)]);
    }
    const auto sequence_bytes = static_cast<int64_t>(count * sizeof(SequenceKv));
    Upload(context, sequences.data(), sequence_bytes, context.scratch);
    Upload(context, head_begins.data(), static_cast<int64_t>(head_begins.size() * 8),
           context.scratch + sequence_bytes);
    p.sequences = reinterpret_cast<const SequenceKv*>(context.scratch);
    p.head_begins = reinterpret_cast<const int64_t*>(context.scratch + sequence_bytes);
  }
  const int64_t num_slots = count * num_kv_heads * p.row_tiles * p.max_splits * p.rows_per_tile;
  p.partial_out = reinterpret_cast<float*>(partials);
  p.partial = reinterpret_cast<SoftmaxState*>(p.partial_out + num_slots * p.head_dim);
  p.counters = context.counters;
  p.q += begin * p.q_len * p.q_stride;
  p.out += begin * p.q_len * p.out_stride;
  if (p.log_sum_exp != nullptr) p.log_sum_exp += begin * p.q_len * p.log_sum_exp_stride;
  if (p.head_dim <= 64) {
    Launch<64, 8>(context, p, count);
  } else if (p.head_dim <= 128 && Shape<128, 8>::kSharedBytes <= context.max_shared_bytes) {
    Launch<128, 8>(context, p, count);
  } else if (p.head_dim <= 128) {
    Launch<128, 4>(context, p, count);
  } else {
    Launch<256, 4>(context, p, count);
  }
}

}  // namespace

void CachedAttention(const Context& context, const CachedAttentionParams& params) {
  const auto num_sequences = static_cast<int64_t>(params.sequences.size());
  if (num_sequences * params.q_len == 0) return;
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = NumKvHeads(params.sequences[0]);
  FASTKV_CHECK(params.q.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == context.type);
  FASTKV_CHECK_EQ(params.q.dim(0), params.q_len * num_sequences);
  FASTKV_CHECK_EQ(params.q.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.out.dim(1), num_q_heads * head_dim);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_LE(num_kv_heads, kMaxKvHeads);
  const int64_t rows_per_kv_head = params.q_len * (num_q_heads / num_kv_heads);

  KernelParams p = {};
  bool fits = rows_per_kv_head <= kMaxRowsPerKvHead && params.out.stride(0) % 4 == 0 &&
              IsAligned(params.out.data(), 8);
  p.max_splits = 1;
  for (int64_t i = 0; i < num_sequences; ++i) {
    FASTKV_CHECK_EQ(NumKvHeads(params.sequences[i]), num_kv_heads);
    const SequenceAttention a = ToSequenceAttention(params, i, num_kv_heads);
    fits = fits && FlashAttentionFits(context, a);
    for (int64_t h = 0; h < num_kv_heads; ++h) {
      const int64_t num_entries = a.head_begin[h + 1] - a.head_begin[h] + a.kv.tail_len;
      p.max_splits = std::max(p.max_splits, NumSplits(num_entries));
    }
  }
  if (!fits) {
    for (int64_t i = 0; i < num_sequences; ++i) {
      const SequenceAttention a = ToSequenceAttention(params, i, num_kv_heads);
      if (FlashAttentionFits(context, a)) {
        FlashAttention(context, a);
      } else {
        PlainAttention(context, a);
      }
    }
    return;
  }

  p.q = params.q.As<BF16>();
  p.q_stride = params.q.stride(0);
  p.out = params.out.As<BF16>();
  p.out_stride = params.out.stride(0);
  if (!params.log_sum_exp.empty()) {
    p.log_sum_exp = params.log_sum_exp.As<float>();
    p.log_sum_exp_stride = params.log_sum_exp.stride(0);
  }
  p.q_len = params.q_len;
  p.window = std::min<int64_t>(params.window, INT32_MAX);
  p.scale = params.scale;
  p.num_kv_heads = static_cast<int>(num_kv_heads);
  p.group_size = static_cast<int>(num_q_heads / num_kv_heads);
  p.head_dim = static_cast<int>(head_dim);
  p.row_tiles = static_cast<int>(CeilDivide(rows_per_kv_head, kRows));
  p.rows_per_tile = static_cast<int>(std::min<int64_t>(kRows, rows_per_kv_head));

  // As many sequences a launch as scratch memory and counters last for.
  constexpr int64_t kDescriptionBytes = int64_t{4} << 20;
  const int64_t cells = num_kv_heads * p.row_tiles;
  const int64_t partial_bytes = cells * p.max_splits * p.rows_per_tile *
                                (head_dim * int64_t{sizeof(float)} + int64_t{sizeof(SoftmaxState)});
  const int64_t description_bytes =
      static_cast<int64_t>(sizeof(SequenceKv)) + (num_kv_heads + 1) * int64_t{8};
  const int64_t per_launch =
      std::min({(context.scratch_bytes - kDescriptionBytes) / partial_bytes,
                context.num_counters / cells, kDescriptionBytes / description_bytes, kMaxGridY});
  FASTKV_CHECK_LE(1, per_launch);
  for (int64_t begin = 0; begin < num_sequences; begin += per_launch) {
    LaunchSplit(context, params, begin, std::min(per_launch, num_sequences - begin), p,
                context.scratch + kDescriptionBytes);
  }
}

}  // namespace fastkv::cuda
