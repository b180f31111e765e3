// Two passes over the keys: the first finds every row's softmax normaliser, the second computes the
// scores again and adds up the probabilities, or takes the largest. Scores are never stored; the
// keys of a pass are read once for all query heads of a group.
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kTile = 16;  // entries a warp takes at a time
constexpr int kBlockTile = kWarps * kTile;
constexpr int kRowTile = 8;  // window rows: the n of m16n8k16
constexpr int kMaxDim = 256;
constexpr int64_t kMaxChunks = 256;
constexpr int kMaxSharedBytes = 96 * 1024;

// Window rows are taken `num_rows` at a time, from row `row_begin` on.
struct KernelParams {
  const void* q;  // [window_rows, num_q_heads, head_dim], rows strided
  int64_t q_stride;
  const void* keys;
  int64_t key_head_stride;
  int64_t kv_len;
  int64_t window_rows;
  int64_t window;
  const int32_t* positions;
  float scale;  // with log2(e) in it
  int num_q_heads;
  int group_size;
  int head_dim;
  int row_begin;
  int num_rows;
  int row_tiles;  // of one query head
  int64_t chunk;  // entries of a block
  int num_chunks;
  SoftmaxState* states;  // [num_q_heads, num_rows, num_chunks]
  float* normalisers;    // [num_q_heads, num_rows]: log2 of the sum of 2^score
  float* out;            // [num_q_heads, kv_len - window_rows]
  int64_t out_stride;
  bool takes_max;  // over the rows; else their sum

  // Probabilities are never negative: 0 is neutral in either case.
  __device__ float Combine(float a, float b) const { return takes_max ? fmaxf(a, b) : a + b; }
  __device__ int64_t OwnEntry(int row) const { return kv_len - window_rows + row_begin + row; }
  __device__ int64_t Oldest(int row) const {
    return window > 0 ? positions[OwnEntry(row)] - window : INT64_MIN;
  }
  __device__ bool Sees(int row, int64_t oldest, int64_t entry) const {
    return row < num_rows && entry <= OwnEntry(row) && (window == 0 || positions[entry] > oldest);
  }
};

// ---- Tensor cores: entries are the 16 rows of A, window rows the 8 columns of B. ----
//
// Both operands give lane 4 g + t the components 32 s + 8 t .. 32 s + 8 t + 7: any assignment of
// components to the instruction's k works as long as it is the same for A and B, and this one makes
// every load 16 bytes.

template <int kSteps>  // of 32 components
struct KeyTile {
  uint4 low[kSteps];   // entry g
  uint4 high[kSteps];  // entry g + 8
};

// [head of the group, row tile, row of the tile][head_dim], rows beyond num_rows zero; rows are
// padded so that the eight lanes of a 16-byte access phase hit distinct banks.
__device__ __forceinline__ int QueryStride(int head_dim) {
  return head_dim % 64 == 0 ? head_dim + 32 : head_dim;
}

__device__ void LoadQueries(const KernelParams& p, int kv_head, BF16* queries) {
  const int chunks = p.head_dim / 8;
  const int padded_rows = p.row_tiles * kRowTile;
  for (int i = threadIdx.x; i < p.group_size * padded_rows * chunks; i += kThreads) {
    const int chunk = i % chunks;
    const int row = i / chunks % padded_rows;
    const int head = i / chunks / padded_rows;
    uint4 value = {};
    if (row < p.num_rows) {
      const BF16* from = static_cast<const BF16*>(p.q) + (p.row_begin + row) * p.q_stride +
                         (int64_t{kv_head} * p.group_size + head) * p.head_dim;
      value = *reinterpret_cast<const uint4*>(from + chunk * 8);
    }
    *reinterpret_cast<uint4*>(queries + (head * padded_rows + row) * QueryStride(p.head_dim) +
                              chunk * 8) = value;
  }
}

template <int kSteps>
__device__ __forceinline__ void LoadKeys(const KernelParams& p, const BF16* keys, int64_t entry,
                                         int group, int quarter, KeyTile<kSteps>& tile) {
  const int steps = p.head_dim / 32;
  const BF16* low = keys + min(entry + group, p.kv_len - 1) * p.head_dim + quarter * 8;
  const BF16* high = keys + min(entry + group + 8, p.kv_len - 1) * p.head_dim + quarter * 8;
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    if (s < steps) {
      tile.low[s] = LoadStreaming(low + s * 32);
      tile.high[s] = LoadStreaming(high + s * 32);
    }
  }
}

// scores[0..1]: entry g against window rows 2t, 2t + 1 of the tile; [2..3]: entry g + 8.
template <int kSteps>
__device__ __forceinline__ void Scores(const KernelParams& p, const KeyTile<kSteps>& tile,
                                       const BF16* query, float (&scores)[4]) {
  const int steps = p.head_dim / 32;
#pragma unroll
  for (int c = 0; c < 4; ++c) scores[c] = 0;
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    if (s < steps) {
      const uint4 q = *reinterpret_cast<const uint4*>(query + s * 32);
      const uint4 low = tile.low[s];
      const uint4 high = tile.high[s];
      MultiplyAdd(scores, low.x, high.x, low.y, high.y, q.x, q.y);
      MultiplyAdd(scores, low.z, high.z, low.w, high.w, q.z, q.w);
    }
  }
}

// Grid: (chunk, KV head). Each warp keeps a state for every row; the block merges them.
template <int kSteps>
__global__ void __launch_bounds__(kThreads)
    NormaliserPartsKernel(const __grid_constant__ KernelParams p) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int kv_head = blockIdx.y;
  const int num_tiles = p.group_size * p.row_tiles;
  const int num_states = num_tiles * kRowTile;
  auto* queries = reinterpret_cast<BF16*>(shared);
  auto* states =
      reinterpret_cast<SoftmaxState*>(shared + int64_t{num_states} * QueryStride(p.head_dim) * 2);
  LoadQueries(p, kv_head, queries);
  for (int i = threadIdx.x; i < kWarps * num_states; i += kThreads) states[i] = {-INFINITY, 0};
  __syncthreads();

  SoftmaxState* my_states = states + warp * num_states;
  const BF16* keys = static_cast<const BF16*>(p.keys) + kv_head * p.key_head_stride;
  const int64_t begin = blockIdx.x * p.chunk;
  const int64_t end = min(p.kv_len, begin + p.chunk);
  for (int64_t entry = begin + warp * kTile; entry < end; entry += kBlockTile) {
    KeyTile<kSteps> tile;
    LoadKeys(p, keys, entry, group, quarter, tile);
    for (int i = 0; i < num_tiles; ++i) {
      float scores[4];
      Scores(p, tile, queries + (i * kRowTile + group) * QueryStride(p.head_dim) + quarter * 8,
             scores);
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int row = i % p.row_tiles * kRowTile + 2 * quarter + c;
        const int64_t oldest = row < p.num_rows ? p.Oldest(row) : 0;
        float a = scores[c] * p.scale;
        float b = scores[2 + c] * p.scale;
        if (entry + group >= end || !p.Sees(row, oldest, entry + group)) a = -INFINITY;
        if (entry + group + 8 >= end || !p.Sees(row, oldest, entry + group + 8)) b = -INFINITY;
        float largest = fmaxf(a, b);
#pragma unroll
        for (int offset = 4; offset < kWarpSize; offset *= 2) {
          largest = fmaxf(largest, __shfl_xor_sync(kFullMask, largest, offset));
        }
        const float base = largest == -INFINITY ? 0.0f : largest;
        float sum = Exp2(a - base) + Exp2(b - base);
#pragma unroll
        for (int offset = 4; offset < kWarpSize; offset *= 2) {
          sum += __shfl_xor_sync(kFullMask, sum, offset);
        }
        if (group == 0) {
          SoftmaxState& state = my_states[i * kRowTile + 2 * quarter + c];
          state = Merge(state, {largest, sum});
        }
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < num_states; i += kThreads) {
    const int row = i % (p.row_tiles * kRowTile);
    if (row >= p.num_rows) continue;
    SoftmaxState merged = states[i];
    for (int w = 1; w < kWarps; ++w) merged = Merge(merged, states[w * num_states + i]);
    const int64_t q_head = int64_t{kv_head} * p.group_size + i / (p.row_tiles * kRowTile);
    p.states[(q_head * p.num_rows + row) * p.num_chunks + blockIdx.x] = merged;
  }
}

// A warp a row.
__global__ void __launch_bounds__(kThreads)
    NormaliserKernel(const SoftmaxState* states, int num_chunks, int64_t num_rows,
                     float* normalisers) {
  const int64_t row = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarpSize;
  if (row >= num_rows) return;
  SoftmaxState merged = {-INFINITY, 0};
  for (int i = threadIdx.x % kWarpSize; i < num_chunks; i += kWarpSize) {
    merged = Merge(merged, states[row * num_chunks + i]);
  }
  merged = WarpMerge(merged);
  if (threadIdx.x % kWarpSize == 0) normalisers[row] = merged.largest + log2f(merged.sum);
}

// Grid: (chunk, KV head). Combines with what `out` holds when row_begin > 0.
template <int kSteps>
__global__ void __launch_bounds__(kThreads)
    ProbabilitiesKernel(const __grid_constant__ KernelParams p) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int kv_head = blockIdx.y;
  const int padded_rows = p.row_tiles * kRowTile;
  auto* queries = reinterpret_cast<BF16*>(shared);
  auto* normalisers = reinterpret_cast<float*>(shared + int64_t{p.group_size} * padded_rows *
                                                            QueryStride(p.head_dim) * 2);
  LoadQueries(p, kv_head, queries);
  for (int i = threadIdx.x; i < p.group_size * padded_rows; i += kThreads) {
    const int row = i % padded_rows;
    const int64_t q_head = int64_t{kv_head} * p.group_size + i / padded_rows;
    // +inf makes the probabilities of a row that is not there 0.
    normalisers[i] = row < p.num_rows ? p.normalisers[q_head * p.num_rows + row] : INFINITY;
  }
  __syncthreads();

  const BF16* keys = static_cast<const BF16*>(p.keys) + kv_head * p.key_head_stride;
  const int64_t num_columns = p.kv_len - p.window_rows;
  const int64_t begin = blockIdx.x * p.chunk;
  const int64_t end = min(num_columns, begin + p.chunk);
  for (int64_t entry = begin + warp * kTile; entry < end; entry += kBlockTile) {
    KeyTile<kSteps> tile;
    LoadKeys(p, keys, entry, group, quarter, tile);
    for (int head = 0; head < p.group_size; ++head) {
      float low = 0;
      float high = 0;
      for (int i = 0; i < p.row_tiles; ++i) {
        const int first = head * padded_rows + i * kRowTile;
        float scores[4];
        Scores(p, tile, queries + (first + group) * QueryStride(p.head_dim) + quarter * 8, scores);
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const int row = i * kRowTile + 2 * quarter + c;
          const float normaliser = normalisers[first + 2 * quarter + c];
          float a = Exp2(scores[c] * p.scale - normaliser);
          float b = Exp2(scores[2 + c] * p.scale - normaliser);
          if (p.window > 0) {
            const int64_t oldest = row < p.num_rows ? p.Oldest(row) : 0;
            if (entry + group < end && !p.Sees(row, oldest, entry + group)) a = 0;
            if (entry + group + 8 < end && !p.Sees(row, oldest, entry + group + 8)) b = 0;
          }
          low = p.Combine(low, a);
          high = p.Combine(high, b);
        }
      }
#pragma unroll
      for (int offset = 1; offset < 4; offset *= 2) {
        low = p.Combine(low, __shfl_xor_sync(kFullMask, low, offset));
        high = p.Combine(high, __shfl_xor_sync(kFullMask, high, offset));
      }
      if (quarter == 0) {
        float* to = p.out + (int64_t{kv_head} * p.group_size + head) * p.out_stride + entry;
        const bool add = p.row_begin > 0;
        if (entry + group < end) to[group] = add ? p.Combine(to[group], low) : low;
        if (entry + group + 8 < end) to[group + 8] = add ? p.Combine(to[group + 8], high) : high;
      }
    }
  }
}

// ---- Plain multiply-adds: float32, and head sizes or alignments the kernels above do not take.
// ----

template <typename T>
__device__ float PlainScore(const KernelParams& p, int row, int64_t q_head, int64_t entry) {
  const T* q = static_cast<const T*>(p.q) + (p.row_begin + row) * p.q_stride + q_head * p.head_dim;
  const T* key = static_cast<const T*>(p.keys) + q_head / p.group_size * p.key_head_stride +
                 entry * p.head_dim;
  float score = 0;
  for (int c = 0; c < p.head_dim; ++c) score += ToFloat(q[c]) * ToFloat(key[c]);
  return score * p.scale;
}

// Grid: (window row, query head).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    PlainNormaliserKernel(const __grid_constant__ KernelParams p) {
  __shared__ SoftmaxState states[kWarps];
  const int row = blockIdx.x;
  const int64_t q_head = blockIdx.y;
  const int64_t oldest = p.Oldest(row);
  SoftmaxState state = {-INFINITY, 0};
  for (int64_t entry = threadIdx.x; entry <= p.OwnEntry(row); entry += kThreads) {
    if (p.Sees(row, oldest, entry)) {
      state = Merge(state, {PlainScore<T>(p, row, q_head, entry), 1.0f});
    }
  }
  state = WarpMerge(state);
  if (threadIdx.x % kWarpSize == 0) states[threadIdx.x / kWarpSize] = state;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < kWarps; ++w) state = Merge(state, states[w]);
    p.normalisers[q_head * p.num_rows + row] = state.largest + log2f(state.sum);
  }
}

// Grid: (entries, query head).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    PlainProbabilitiesKernel(const __grid_constant__ KernelParams p) {
  const int64_t entry = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  const int64_t q_head = blockIdx.y;
  if (entry >= p.kv_len - p.window_rows) return;
  float score = 0;
  for (int row = 0; row < p.num_rows; ++row) {
    if (p.Sees(row, p.Oldest(row), entry)) {
      const float normaliser = p.normalisers[q_head * p.num_rows + row];
      score = p.Combine(score, exp2f(PlainScore<T>(p, row, q_head, entry) - normaliser));
    }
  }
  p.out[q_head * p.out_stride + entry] = score;
}

template <typename T>
void LaunchPlain(const Context& context, KernelParams p) {
  p.row_begin = 0;
  p.num_rows = static_cast<int>(p.window_rows);
  p.normalisers = reinterpret_cast<float*>(context.scratch);
  FASTKV_CHECK_LE(int64_t{p.num_q_heads} * p.num_rows * int64_t{sizeof(float)},
                  context.scratch_bytes);
  const auto heads = static_cast<unsigned>(p.num_q_heads);
  PlainNormaliserKernel<T><<<dim3(GridX(p.num_rows), heads), kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("PlainNormaliserKernel");
  PlainProbabilitiesKernel<T><<<dim3(GridX(CeilDivide(p.kv_len - p.window_rows, kThreads)), heads),
                                kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("PlainProbabilitiesKernel");
}

template <int kSteps>
void LaunchRows(const Context& context, const KernelParams& p) {
  const int padded_rows = p.group_size * p.row_tiles * kRowTile;
  const int query_stride = p.head_dim % 64 == 0 ? p.head_dim + 32 : p.head_dim;
  const int query_bytes = padded_rows * query_stride * 2;
  const int state_bytes =
      query_bytes + kWarps * padded_rows * static_cast<int>(sizeof(SoftmaxState));
  const int sum_bytes = query_bytes + padded_rows * static_cast<int>(sizeof(float));
  const auto set_shared_bytes = [](const void* kernel, int num_bytes) {
    FASTKV_CUDA_CHECK(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, num_bytes));
  };
  set_shared_bytes(reinterpret_cast<const void*>(NormaliserPartsKernel<kSteps>), state_bytes);
  set_shared_bytes(reinterpret_cast<const void*>(ProbabilitiesKernel<kSteps>), sum_bytes);
  const dim3 grid(static_cast<unsigned>(p.num_chunks),
                  static_cast<unsigned>(p.num_q_heads / p.group_size));
  NormaliserPartsKernel<kSteps><<<grid, kThreads, state_bytes, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("NormaliserPartsKernel");
  const int64_t num_rows = int64_t{p.num_q_heads} * p.num_rows;
  NormaliserKernel<<<GridX(CeilDivide(num_rows, kWarps)), kThreads, 0, context.stream>>>(
      p.states, p.num_chunks, num_rows, p.normalisers);
  FASTKV_CHECK_LAUNCH("NormaliserKernel");
  ProbabilitiesKernel<kSteps><<<grid, kThreads, sum_bytes, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("ProbabilitiesKernel");
}

void LaunchTensorCores(const Context& context, KernelParams p) {
  // About four blocks a multiprocessor, each with a few tiles a warp.
  const int num_kv_heads = p.num_q_heads / p.group_size;
  const int64_t wanted_chunks = std::clamp<int64_t>(
      CeilDivide(int64_t{4} * context.num_multiprocessors, num_kv_heads), 1, kMaxChunks);
  p.chunk = RoundUp(CeilDivide(p.kv_len, wanted_chunks), kBlockTile);
  p.num_chunks = static_cast<int>(CeilDivide(p.kv_len, p.chunk));

  const int bytes_per_row = p.group_size * (2 * (p.head_dim + 32) + kWarps * 8);
  const int most_rows = std::max(kRowTile, kMaxSharedBytes / bytes_per_row / kRowTile * kRowTile);
  for (int begin = 0; begin < p.window_rows; begin += most_rows) {
    p.row_begin = begin;
    p.num_rows = static_cast<int>(std::min<int64_t>(most_rows, p.window_rows - begin));
    p.row_tiles = static_cast<int>(CeilDivide(p.num_rows, kRowTile));
    const int64_t num_rows = int64_t{p.num_q_heads} * p.num_rows;
    p.states = reinterpret_cast<SoftmaxState*>(context.scratch);
    p.normalisers = reinterpret_cast<float*>(p.states + num_rows * p.num_chunks);
    FASTKV_CHECK_LE(num_rows * (p.num_chunks * int64_t{sizeof(SoftmaxState)} + 4),
                    context.scratch_bytes);
    if (p.head_dim <= 64) {
      LaunchRows<2>(context, p);
    } else if (p.head_dim <= 128) {
      LaunchRows<4>(context, p);
    } else {
      LaunchRows<8>(context, p);
    }
  }
}

}  // namespace

void WindowScores(const Context& context, const WindowScoresParams& params) {
  const int64_t window_rows = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t num_columns = kv_len - window_rows;
  FASTKV_CHECK(params.q.dtype() == context.type);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_LE(0, num_columns);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.q.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.keys.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.out.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  FASTKV_CHECK_LE(num_q_heads, kMaxGridY);
  FASTKV_CHECK(params.row_reduction != ReductionKind::kMean);
  if (num_columns == 0 || num_q_heads == 0) return;
  if (window_rows == 0) {
    FASTKV_CUDA_CHECK(cudaMemset2DAsync(params.out.data(), params.out.stride(0) * sizeof(float), 0,
                                        num_columns * sizeof(float), num_q_heads, context.stream));
    return;
  }
  KernelParams p = {};
  p.q = params.q.data();
  p.q_stride = params.q.stride(0);
  p.keys = params.keys.data();
  p.key_head_stride = params.keys.stride(0);
  p.kv_len = kv_len;
  p.window_rows = window_rows;
  p.window = params.window;
  p.positions = params.positions;
  p.scale = params.scale * kLog2E;
  p.num_q_heads = static_cast<int>(num_q_heads);
  p.group_size = static_cast<int>(num_q_heads / num_kv_heads);
  p.head_dim = static_cast<int>(head_dim);
  p.out = params.out.As<float>();
  p.out_stride = params.out.stride(0);
  p.takes_max = params.row_reduction == ReductionKind::kMax;

  const bool fits_tensor_cores =
      context.type == DType::kBF16 && head_dim % 32 == 0 && head_dim <= kMaxDim &&
      p.q_stride % 8 == 0 && p.key_head_stride % 8 == 0 && IsAligned(p.q, 16) &&
      IsAligned(p.keys, 16) &&
      p.group_size * kRowTile * (2 * (p.head_dim + 32) + kWarps * 8) <= kMaxSharedBytes;
  if (fits_tensor_cores) {
    LaunchTensorCores(context, p);
  } else if (context.type == DType::kBF16) {
    LaunchPlain<BF16>(context, p);
  } else {
    LaunchPlain<float>(context, p);
  }
}

}  // namespace fastkv::cuda
