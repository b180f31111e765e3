// A block owns a tile of one KV head's entries and lets the rows that see them pass, a tile at a
// time, so that every sum stays in registers. Where that makes too few blocks, they share out the
// rows as well, and their sums are added in order.
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/add_parts.h"
#include "backend/cuda/attention.h"
#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

// A row is a token and a query head of the KV head's group: row r is token r / group_size, head
// r % group_size.
struct KernelParams {
  const void* q;
  int64_t q_stride;
  const void* keys;
  int64_t key_head_stride;
  int64_t q_start;
  int64_t q_len;
  int64_t num_visible;  // entries that any row sees
  int64_t window;
  const int32_t* positions;
  const float* log_sum_exp;
  int64_t log_sum_exp_stride;
  const float* row_weights;  // or null
  float scale;               // with log2(e) in it
  int group_size;
  int head_dim;
  int64_t chunk;         // tokens of a block
  float* out;            // [num_kv_heads, num_visible]; with chunks, one of these for each
  int64_t out_stride;    // from head to head
  int64_t chunk_stride;  // 0: there is one chunk, and its sums are added to what `out` holds

  __device__ void Store(int64_t chunk_index, int64_t kv_head, int64_t entry, float sum) const {
    float* to = out + chunk_index * chunk_stride + kv_head * out_stride + entry;
    *to = chunk_stride == 0 ? *to + sum : sum;
  }
};

// What the kernels need of a row beside its query.
struct Row {
  int own_entry;     // -1: there is no such row
  int oldest;        // it sees positions above this
  float normaliser;  // log2 of the sum of 2^score
  float weight;

  __device__ Row(const KernelParams& p, int64_t kv_head, int row, int end_row) {
    own_entry = -1;
    oldest = INT32_MIN;
    normaliser = 0;
    weight = 0;
    if (row >= end_row) return;
    const int token = row / p.group_size;
    const int64_t q_head = kv_head * p.group_size + row % p.group_size;
    own_entry = static_cast<int>(p.q_start + token);
    if (p.window > 0) oldest = static_cast<int>(p.positions[own_entry] - p.window);
    normaliser = p.log_sum_exp[token * p.log_sum_exp_stride + q_head] * kLog2E;
    weight = p.row_weights == nullptr ? 1.0f : p.row_weights[token];
  }
};

// ---- Tensor cores: entries are the 16 rows of A, query rows the 8 columns of B. ----

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kRowTile = 64;
constexpr int kStages = 2;

// kDim: the head size, rounded up to what there is a kernel for; the rest is zeros.
// kEntryTiles: 16-entry tiles a warp owns.
template <int kDim, int kEntryTiles>
struct Shape {
  static constexpr int kChunks = kDim / 8;  // 16-byte chunks of a row
  static constexpr int kEntries = kWarps * kEntryTiles * 16;
  static constexpr int kStageBytes = kRowTile * kDim * 2;
  static constexpr int kSharedBytes = kStages * kStageBytes;
  // The keys pass through the same memory on their way to registers.
  static_assert(kEntries * kDim * 2 <= kSharedBytes);

  // Chunks are permuted within a row so that the eight rows an ldmatrix reads lie in distinct
  // banks.
  static __device__ __forceinline__ uint32_t Offset(int row, int chunk) {
    return static_cast<uint32_t>((row * kChunks + (chunk ^ (row & 7))) * 16);
  }
};

// Grid: (entries, KV head, chunk of tokens).
template <int kDim, int kEntryTiles>
__global__ void __launch_bounds__(kThreads)
    ColumnScoresKernel(const __grid_constant__ KernelParams p) {
  using S = Shape<kDim, kEntryTiles>;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ int own_entries[kStages][kRowTile];
  __shared__ int oldests[kStages][kRowTile];
  __shared__ float normalisers[kStages][kRowTile];
  __shared__ float weights[kStages][kRowTile];
  const uint32_t base = SharedAddress(shared);
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int pair = lane % 4 * 2;
  const int64_t kv_head = blockIdx.y;
  const int first_entry = static_cast<int>(blockIdx.x) * S::kEntries;
  const int64_t first_token = max(int64_t{blockIdx.z} * p.chunk, int64_t{first_entry} - p.q_start);
  const int64_t end_token = min(p.q_len, (int64_t{blockIdx.z} + 1) * p.chunk);
  const int begin_row = static_cast<int>(min(first_token, end_token)) * p.group_size;
  const int end_row = static_cast<int>(end_token) * p.group_size;

  const BF16* keys = static_cast<const BF16*>(p.keys) + kv_head * p.key_head_stride;
  for (int i = threadIdx.x; i < S::kEntries * S::kChunks; i += kThreads) {
    const int r = i / S::kChunks;
    const int chunk = i % S::kChunks;
    const bool valid = first_entry + r < p.num_visible && chunk * 8 < p.head_dim;
    const BF16* from = keys + int64_t{first_entry + r} * p.head_dim + chunk * 8;
    CopyAsync16(base + S::Offset(r, chunk), valid ? from : keys, valid);
  }
  CommitCopies();
  WaitForCopies<0>();
  __syncthreads();
  uint32_t key[kEntryTiles][kDim / 16][4];
#pragma unroll
  for (int i = 0; i < kEntryTiles; ++i) {
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
      const int r = (warp * kEntryTiles + i) * 16 + lane % 16;
      LoadMatrices(key[i][step], base + S::Offset(r, step * 2 + lane / 16));
    }
  }
  __syncthreads();

  const BF16* q = static_cast<const BF16*>(p.q) + kv_head * p.group_size * p.head_dim;
  const auto load_rows = [&](int first_row, int stage) {
    for (int i = threadIdx.x; i < kRowTile * S::kChunks; i += kThreads) {
      const int r = i / S::kChunks;
      const int chunk = i % S::kChunks;
      const int row = first_row + r;
      const bool valid = row < end_row && chunk * 8 < p.head_dim;
      const BF16* from = q + row / p.group_size * p.q_stride +
                         int64_t{row % p.group_size} * p.head_dim + chunk * 8;
      CopyAsync16(base + stage * S::kStageBytes + S::Offset(r, chunk), valid ? from : q, valid);
    }
    if (threadIdx.x < kRowTile) {
      const Row row(p, kv_head, first_row + static_cast<int>(threadIdx.x), end_row);
      own_entries[stage][threadIdx.x] = row.own_entry;
      oldests[stage][threadIdx.x] = row.oldest;
      normalisers[stage][threadIdx.x] = row.normaliser;
      weights[stage][threadIdx.x] = row.weight;
    }
  };

  // Entries of this thread: (warp kEntryTiles + i) 16 + group + 8 j.
  const int first_own = first_entry + warp * kEntryTiles * 16 + group;
  int position[kEntryTiles][2] = {};
  int last_position = 0;
  if (p.window > 0) {
    const int last_entry = static_cast<int>(p.num_visible) - 1;
    last_position = p.positions[min(first_entry + S::kEntries - 1, last_entry)];
#pragma unroll
    for (int i = 0; i < kEntryTiles; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        position[i][j] = p.positions[min(first_own + i * 16 + j * 8, last_entry)];
      }
    }
  }

  float sum[kEntryTiles][2] = {};
  load_rows(begin_row, 0);
  CommitCopies();
  int stage = 0;
  for (int first_row = begin_row; first_row < end_row; first_row += kRowTile, stage ^= 1) {
    if (first_row + kRowTile < end_row) load_rows(first_row + kRowTile, stage ^ 1);
    CommitCopies();
    WaitForCopies<1>();
    __syncthreads();
    // The first row's window begins behind the tile, and so do all later ones.
    if (p.window > 0 && oldests[stage][0] >= last_position) break;
    const bool all_seen = p.window == 0 && first_row + kRowTile <= end_row &&
                          first_entry + S::kEntries - 1 <= own_entries[stage][0];
    const uint32_t rows = base + stage * S::kStageBytes;
#pragma unroll
    for (int n = 0; n < kRowTile / 16; ++n) {
      float scores[kEntryTiles][2][4] = {};
#pragma unroll
      for (int step = 0; step < kDim / 16; ++step) {
        uint32_t query[4];
        LoadMatrices(query,
                     rows + S::Offset(n * 16 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
#pragma unroll
        for (int i = 0; i < kEntryTiles; ++i) {
          const uint32_t(&k)[4] = key[i][step];
          MultiplyAdd(scores[i][0], k[0], k[1], k[2], k[3], query[0], query[1]);
          MultiplyAdd(scores[i][1], k[0], k[1], k[2], k[3], query[2], query[3]);
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const int r = n * 16 + half * 8 + pair + c;
          const float normaliser = normalisers[stage][r];
          const float weight = weights[stage][r];
          const int own_entry = own_entries[stage][r];
          const int oldest = oldests[stage][r];
#pragma unroll
          for (int i = 0; i < kEntryTiles; ++i) {
#pragma unroll
            for (int j = 0; j < 2; ++j) {
              float probability = Exp2(fmaf(scores[i][half][2 * j + c], p.scale, -normaliser));
              const bool sees = first_own + i * 16 + j * 8 <= own_entry &&
                                (p.window == 0 || position[i][j] > oldest);
              if (!all_seen && !sees) probability = 0;
              sum[i][j] = fmaf(probability, weight, sum[i][j]);
            }
          }
        }
      }
    }
    __syncthreads();
  }
  WaitForCopies<0>();

#pragma unroll
  for (int i = 0; i < kEntryTiles; ++i) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float total = sum[i][j];
      total += __shfl_xor_sync(kFullMask, total, 1);
      total += __shfl_xor_sync(kFullMask, total, 2);
      const int entry = first_own + i * 16 + j * 8;
      if (pair == 0 && entry < p.num_visible) p.Store(blockIdx.z, kv_head, entry, total);
    }
  }
}

// ---- Plain multiply-adds: float32, and head sizes or alignments that the kernel above does not
// take. ----

constexpr int kPlainWarps = 8;
constexpr int kPlainThreads = kPlainWarps * kWarpSize;
constexpr int kPlainEntries = kWarpSize;  // one a lane

// Grid: (entries, KV head, chunk of tokens). The warps share out the rows.
template <typename T>
__global__ void __launch_bounds__(kPlainThreads)
    PlainColumnScoresKernel(const __grid_constant__ KernelParams p) {
  __shared__ float tile[kPlainEntries][kMaxHeadDim + 1];  // odd: lanes read a column each
  __shared__ float queries[kPlainWarps][kMaxHeadDim];
  __shared__ float sums[kPlainWarps][kPlainEntries];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int64_t kv_head = blockIdx.y;
  const int first_entry = static_cast<int>(blockIdx.x) * kPlainEntries;
  const int num_entries =
      static_cast<int>(min(int64_t{kPlainEntries}, p.num_visible - first_entry));
  const T* keys = static_cast<const T*>(p.keys) + kv_head * p.key_head_stride;
  for (int j = warp; j < kPlainEntries; j += kPlainWarps) {
    for (int c = lane; c < p.head_dim; c += kWarpSize) {
      tile[j][c] =
          j < num_entries ? ToFloat(keys[int64_t{first_entry + j} * p.head_dim + c]) : 0.0f;
    }
  }
  __syncthreads();
  const int entry = first_entry + lane;
  const int position = p.window > 0 && lane < num_entries ? p.positions[entry] : 0;
  const int64_t first_token = max(int64_t{blockIdx.z} * p.chunk, int64_t{first_entry} - p.q_start);
  const int64_t end_token = min(p.q_len, (int64_t{blockIdx.z} + 1) * p.chunk);
  const int begin_row = static_cast<int>(min(first_token, end_token)) * p.group_size;
  const int end_row = static_cast<int>(end_token) * p.group_size;
  float sum = 0;
  for (int r = begin_row + warp; r < end_row; r += kPlainWarps) {
    const Row row(p, kv_head, r, end_row);
    const T* q = static_cast<const T*>(p.q) + r / p.group_size * p.q_stride +
                 (kv_head * p.group_size + r % p.group_size) * p.head_dim;
    __syncwarp();
    for (int c = lane; c < p.head_dim; c += kWarpSize) queries[warp][c] = ToFloat(q[c]);
    __syncwarp();
    float score = 0;
    for (int c = 0; c < p.head_dim; ++c) score += queries[warp][c] * tile[lane][c];
    const bool sees = entry <= row.own_entry && (p.window == 0 || position > row.oldest);
    if (sees) sum = fmaf(exp2f(fmaf(score, p.scale, -row.normaliser)), row.weight, sum);
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp == 0 && lane < num_entries) {
    float total = sums[0][lane];
    for (int w = 1; w < kPlainWarps; ++w) total += sums[w][lane];
    p.Store(blockIdx.z, kv_head, entry, total);
  }
}

// Calls launch(p, num_chunks) with the rows cut so that there are enough blocks, and adds what the
// chunks gave.
template <typename Launch>
void RunInChunks(const Context& context, KernelParams p, int64_t num_heads, int64_t tile_entries,
                 const Launch& launch) {
  constexpr int64_t kMinChunk = 128;
  constexpr int64_t kBlocksPerMultiprocessor = 16;
  const int64_t part_floats = num_heads * p.num_visible;
  const int64_t blocks_a_chunk = num_heads * CeilDivide(p.num_visible, tile_entries);
  const int64_t most_chunks = std::max<int64_t>(
      1, std::min({CeilDivide(p.q_len, kMinChunk), kMaxGridY,
                   context.scratch_bytes / (part_floats * int64_t{sizeof(float)})}));
  const int64_t wanted_chunks = std::clamp<int64_t>(
      CeilDivide(kBlocksPerMultiprocessor * context.num_multiprocessors, blocks_a_chunk), 1,
      most_chunks);
  p.chunk = CeilDivide(p.q_len, wanted_chunks);
  const auto num_chunks = static_cast<int>(CeilDivide(p.q_len, p.chunk));
  if (num_chunks == 1) {
    launch(p, num_chunks);
    return;
  }
  float* const out = p.out;
  const int64_t out_stride = p.out_stride;
  p.out = reinterpret_cast<float*>(context.scratch);
  p.out_stride = p.num_visible;
  p.chunk_stride = part_floats;
  launch(p, num_chunks);
  AddParts(
      context,
      {.data = p.out, .num_parts = num_chunks, .num_rows = num_heads, .num_columns = p.num_visible},
      out, out_stride);
}

template <int kDim, int kEntryTiles>
void LaunchTensorCores(const Context& context, const KernelParams& params, int64_t num_heads) {
  using S = Shape<kDim, kEntryTiles>;
  const auto kernel = ColumnScoresKernel<kDim, kEntryTiles>;
  FASTKV_CUDA_CHECK(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes));
  RunInChunks(context, params, num_heads, S::kEntries, [&](const KernelParams& p, int num_chunks) {
    const dim3 grid(GridX(CeilDivide(p.num_visible, S::kEntries)), static_cast<unsigned>(num_heads),
                    static_cast<unsigned>(num_chunks));
    kernel<<<grid, kThreads, S::kSharedBytes, context.stream>>>(p);
    FASTKV_CHECK_LAUNCH("ColumnScoresKernel");
  });
}

template <typename T>
void LaunchPlain(const Context& context, const KernelParams& params, int64_t num_heads) {
  RunInChunks(
      context, params, num_heads, kPlainEntries, [&](const KernelParams& p, int num_chunks) {
        const dim3 grid(GridX(CeilDivide(p.num_visible, kPlainEntries)),
                        static_cast<unsigned>(num_heads), static_cast<unsigned>(num_chunks));
        PlainColumnScoresKernel<T><<<grid, kPlainThreads, 0, context.stream>>>(p);
        FASTKV_CHECK_LAUNCH("PlainColumnScoresKernel");
      });
}

}  // namespace

void ColumnScores(const Context& context, const ColumnScoresParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  FASTKV_CHECK(params.q.dtype() == context.type);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK(params.log_sum_exp.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.q.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.keys.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.log_sum_exp.dim(0), q_len);
  FASTKV_CHECK_EQ(params.log_sum_exp.dim(1), num_q_heads);
  FASTKV_CHECK(params.row_weights.empty() || params.row_weights.dim(0) == q_len);
  FASTKV_CHECK_EQ(params.out.dim(0), num_kv_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), kv_len);
  FASTKV_CHECK(params.window == 0 || params.positions != nullptr);
  FASTKV_CHECK(params.window == 0 || params.q_start + q_len <= kv_len);
  FASTKV_CHECK_LE(head_dim, kMaxHeadDim);
  FASTKV_CHECK_LE(num_kv_heads, kMaxGridY);
  FASTKV_CHECK_LE(params.q_start + q_len, INT32_MAX / 2);
  FASTKV_CHECK_LE(q_len * (num_q_heads / num_kv_heads), INT32_MAX / 2);
  KernelParams p = {};
  p.q = params.q.data();
  p.q_stride = params.q.stride(0);
  p.keys = params.keys.data();
  p.key_head_stride = params.keys.stride(0);
  p.q_start = params.q_start;
  p.q_len = q_len;
  p.num_visible = std::min(kv_len, params.q_start + q_len);
  if (num_kv_heads * q_len * p.num_visible == 0) return;
  p.window = std::min<int64_t>(params.window, INT32_MAX);
  p.positions = params.positions;
  p.log_sum_exp = params.log_sum_exp.As<float>();
  p.log_sum_exp_stride = params.log_sum_exp.stride(0);
  p.row_weights = params.row_weights.empty() ? nullptr : params.row_weights.As<float>();
  p.scale = params.scale * kLog2E;
  p.group_size = static_cast<int>(num_q_heads / num_kv_heads);
  p.head_dim = static_cast<int>(head_dim);
  p.out = params.out.As<float>();
  p.out_stride = params.out.stride(0);

  const bool fits_tensor_cores = context.type == DType::kBF16 && head_dim % 8 == 0 &&
                                 p.q_stride % 8 == 0 && p.key_head_stride % 8 == 0 &&
                                 IsAligned(p.q, 16) && IsAligned(p.keys, 16) &&
                                 Shape<kMaxHeadDim, 1>::kSharedBytes <= context.max_shared_bytes;
  if (!fits_tensor_cores && context.type == DType::kBF16) {
    LaunchPlain<BF16>(context, p, num_kv_heads);
  } else if (!fits_tensor_cores) {
    LaunchPlain<float>(context, p, num_kv_heads);
  } else if (head_dim <= 64) {
    LaunchTensorCores<64, 2>(context, p, num_kv_heads);
  } else if (head_dim <= 128) {
    LaunchTensorCores<128, 2>(context, p, num_kv_heads);
  } else {
    LaunchTensorCores<256, 1>(context, p, num_kv_heads);
  }
}

}  // namespace fastkv::cuda
