// X^T X of each head's queries: tiles of columns meet in blocks that each take a chunk of the rows;
// the chunks' results are added in order. bfloat16 queries go through the tensor cores as they are;
// a normalised one as two numbers, its first 8 bits and the next 8.
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/add_parts.h"
#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/row_part.cuh"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;

// Heads are taken `num_heads` at a time, from `first_head` on.
struct KernelParams {
  const void* qkv;
  int64_t qkv_stride;
  const float* norm_weight;  // or null
  float norm_epsilon;
  int64_t num_tokens;
  int64_t chunk;  // tokens of a block
  int num_chunks;
  int first_head;
  int num_heads;
  int head_dim;
  int num_tiles;         // of the columns of a head
  float* product_parts;  // [num_chunks, num_heads, head_dim, head_dim]
  float* sum_parts;      // [num_chunks, num_heads, head_dim]
};

// The lane's share of the query of `token`, normalised; zeros beyond the tokens.
template <typename T>
__device__ void LoadQuery(const KernelParams& p, int64_t token, int lane,
                          float (&values)[kRowValues]) {
  if (token >= p.num_tokens) {
#pragma unroll
    for (int i = 0; i < kRowValues; ++i) values[i] = 0;
    return;
  }
  const int64_t head = p.first_head + blockIdx.y;
  LoadRowPart<1>(static_cast<const T*>(p.qkv) + token * p.qkv_stride + head * p.head_dim,
                 p.head_dim, lane, values);
  if (p.norm_weight == nullptr) return;
  const float mean = SumOfSquares(values) / static_cast<float>(p.head_dim);
  const float inverse_norm = 1.0f / sqrtf(mean + p.norm_epsilon);
#pragma unroll
  for (int i = 0; i < kRowValues; ++i) {
    const int c = RowComponent<1>(lane, i);
    if (c < p.head_dim) values[i] *= inverse_norm * p.norm_weight[c];
  }
}

__device__ void StoreSums(const KernelParams& p, const float (&sum)[kRowValues], int warp, int lane,
                          float (&shared)[kWarps][kMaxHeadDim]) {
#pragma unroll
  for (int i = 0; i < kRowValues; ++i) shared[warp][RowComponent<1>(lane, i)] = sum[i];
  __syncthreads();
  float* part = p.sum_parts + (int64_t{blockIdx.x} * p.num_heads + blockIdx.y) * p.head_dim;
  for (int c = threadIdx.x; c < p.head_dim; c += kThreads) {
    float total = shared[0][c];
    for (int w = 1; w < kWarps; ++w) total += shared[w][c];
    part[c] = total;
  }
}

__device__ __forceinline__ void StoreProduct(const KernelParams& p, int row, int column,
                                             float value) {
  if (row >= p.head_dim || column >= p.head_dim) return;
  const int64_t matrix = int64_t{blockIdx.x} * p.num_heads + blockIdx.y;
  p.product_parts[(matrix * p.head_dim + row) * p.head_dim + column] = value;
}

// ---- Tensor cores. The token is the instruction's k: both operands lie with their k in rows. ----

constexpr int kRows = 32;  // tokens of a step

// kTile columns of a step's queries: the first 8 bits of every number, and the next 8.
template <int kTile>
struct Operand {
  BF16 high[kRows][kTile + 8];  // an odd number of 16-byte rows: ldmatrix meets distinct banks
  BF16 low[kRows][kTile + 8];

  __device__ void Store(int row, int column, float value) {
    const BF16 first = FromFloat<BF16>(value);
    high[row][column] = first;
    low[row][column] = FromFloat<BF16>(value - ToFloat(first));
  }
};

// Grid: (chunk, head, pair of tiles). Four warps down, two across.
template <int kTile>
__global__ void __launch_bounds__(kThreads)
    TensorMomentsKernel(const __grid_constant__ KernelParams p) {
  constexpr int kRowTiles = kTile / 64;
  constexpr int kColumnTiles = kTile / 16;
  __shared__ __align__(16) Operand<kTile> left;
  __shared__ __align__(16) Operand<kTile> right_storage;
  __shared__ float sums[kWarps][kMaxHeadDim];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int first_row = static_cast<int>(blockIdx.z) / p.num_tiles * kTile;
  const int first_column = static_cast<int>(blockIdx.z) % p.num_tiles * kTile;
  const bool is_diagonal = first_row == first_column;
  Operand<kTile>& right = is_diagonal ? left : right_storage;
  const bool has_low = p.norm_weight != nullptr;
  const int warp_row = warp / 2 * kRowTiles * 16;
  const int warp_column = warp % 2 * kColumnTiles * 8;

  float products[kRowTiles][kColumnTiles][4] = {};
  float sum[kRowValues] = {};
  const int64_t begin = blockIdx.x * p.chunk;
  const int64_t end = min(p.num_tokens, begin + p.chunk);
  for (int64_t token = begin; token < end; token += kRows) {
#pragma unroll
    for (int i = 0; i < kRows / kWarps; ++i) {
      const int r = warp * (kRows / kWarps) + i;
      float query[kRowValues];
      LoadQuery<BF16>(p, token + r, lane, query);
#pragma unroll
      for (int k = 0; k < kRowValues; ++k) {
        const int c = RowComponent<1>(lane, k);
        sum[k] += query[k];
        if (c >= first_row && c < first_row + kTile) left.Store(r, c - first_row, query[k]);
        if (!is_diagonal && c >= first_column && c < first_column + kTile) {
          right.Store(r, c - first_column, query[k]);
        }
      }
    }
    __syncthreads();
#pragma unroll
    for (int step = 0; step < kRows / 16; ++step) {
      uint32_t left_high[kRowTiles][4];
      uint32_t left_low[kRowTiles][4];
      const int left_row = step * 16 + lane % 8 + lane / 16 * 8;
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        const int c = warp_row + m * 16 + lane / 8 % 2 * 8;
        LoadMatricesTransposed(left_high[m], SharedAddress(&left.high[left_row][c]));
        LoadMatricesTransposed(left_low[m], SharedAddress(&left.low[left_row][c]));
      }
#pragma unroll
      for (int n = 0; n < kColumnTiles; n += 2) {
        uint32_t right_high[4];
        uint32_t right_low[4];
        const int c = warp_column + n * 8 + lane / 16 * 8;
        LoadMatricesTransposed(right_high, SharedAddress(&right.high[step * 16 + lane % 16][c]));
        LoadMatricesTransposed(right_low, SharedAddress(&right.low[step * 16 + lane % 16][c]));
        const auto add = [&](const uint32_t(&a)[kRowTiles][4], const uint32_t(&b)[4]) {
#pragma unroll
          for (int m = 0; m < kRowTiles; ++m) {
            MultiplyAdd(products[m][n], a[m][0], a[m][1], a[m][2], a[m][3], b[0], b[1]);
            MultiplyAdd(products[m][n + 1], a[m][0], a[m][1], a[m][2], a[m][3], b[2], b[3]);
          }
        };
        add(left_high, right_high);
        if (has_low) {
          add(left_high, right_low);
          add(left_low, right_high);
          add(left_low, right_low);
        }
      }
    }
    __syncthreads();
  }

  const int group = lane / 4;
  const int pair = lane % 4 * 2;
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        StoreProduct(p, first_row + warp_row + m * 16 + group + k / 2 * 8,
                     first_column + warp_column + n * 8 + pair + k % 2, products[m][n][k]);
      }
    }
  }
  if (blockIdx.z == 0) StoreSums(p, sum, warp, lane, sums);
}

// ---- Plain multiply-adds for float32. ----

constexpr int kPlainTile = 64;
constexpr int kPlainRows = 16;

// Grid: (chunk, head, pair of tiles). Each thread owns 4 x 4 products.
__global__ void __launch_bounds__(kThreads)
    PlainMomentsKernel(const __grid_constant__ KernelParams p) {
  __shared__ __align__(16) float left[kPlainRows][kPlainTile];
  __shared__ __align__(16) float right[kPlainRows][kPlainTile];
  __shared__ float sums[kWarps][kMaxHeadDim];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int first_row = static_cast<int>(blockIdx.z) / p.num_tiles * kPlainTile;
  const int first_column = static_cast<int>(blockIdx.z) % p.num_tiles * kPlainTile;
  const int my_row = static_cast<int>(threadIdx.x) / 16 * 4;
  const int my_column = static_cast<int>(threadIdx.x) % 16 * 4;

  float products[4][4] = {};
  float sum[kRowValues] = {};
  const int64_t begin = blockIdx.x * p.chunk;
  const int64_t end = min(p.num_tokens, begin + p.chunk);
  for (int64_t token = begin; token < end; token += kPlainRows) {
    for (int r = warp; r < kPlainRows; r += kWarps) {
      float query[kRowValues];
      LoadQuery<float>(p, token + r, lane, query);
#pragma unroll
      for (int k = 0; k < kRowValues; ++k) {
        const int c = RowComponent<1>(lane, k);
        sum[k] += query[k];
        if (c >= first_row && c < first_row + kPlainTile) left[r][c - first_row] = query[k];
        if (c >= first_column && c < first_column + kPlainTile) {
          right[r][c - first_column] = query[k];
        }
      }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < kPlainRows; ++r) {
      const auto a = *reinterpret_cast<const Pack<float, 4>*>(&left[r][my_row]);
      const auto b = *reinterpret_cast<const Pack<float, 4>*>(&right[r][my_column]);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) products[i][j] += a.values[i] * b.values[j];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      StoreProduct(p, first_row + my_row + i, first_column + my_column + j, products[i][j]);
    }
  }
  if (blockIdx.z == 0) StoreSums(p, sum, warp, lane, sums);
}

// `p` without chunks, tiles and parts.
void LaunchHeads(const Context& context, const QueryMomentsParams& params, KernelParams p) {
  const bool tensor_cores = context.type == DType::kBF16;
  const int tile = !tensor_cores ? kPlainTile : p.head_dim <= 64 ? 64 : 128;
  p.num_tiles = static_cast<int>(CeilDivide(p.head_dim, tile));
  const int64_t blocks_a_chunk = int64_t{p.num_heads} * p.num_tiles * p.num_tiles;
  const int64_t sum_floats = int64_t{p.num_heads} * p.head_dim;
  const int64_t product_floats = sum_floats * p.head_dim;
  constexpr int64_t kMinChunk = 128;
  const int64_t most_chunks =
      std::min(CeilDivide(p.num_tokens, kMinChunk),
               context.scratch_bytes / ((product_floats + sum_floats) * int64_t{sizeof(float)}));
  const int64_t wanted_chunks = std::clamp<int64_t>(
      CeilDivide(int64_t{4} * context.num_multiprocessors, blocks_a_chunk), 1, most_chunks);
  p.chunk = RoundUp(CeilDivide(p.num_tokens, wanted_chunks), kRows);
  p.num_chunks = static_cast<int>(CeilDivide(p.num_tokens, p.chunk));
  p.product_parts = reinterpret_cast<float*>(context.scratch);
  p.sum_parts = p.product_parts + p.num_chunks * product_floats;
  const dim3 grid(static_cast<unsigned>(p.num_chunks), static_cast<unsigned>(p.num_heads),
                  static_cast<unsigned>(p.num_tiles * p.num_tiles));
  const auto kernel = !tensor_cores ? PlainMomentsKernel
                      : tile == 64  ? TensorMomentsKernel<64>
                                    : TensorMomentsKernel<128>;
  kernel<<<grid, kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("MomentsKernel");
  AddParts(context,
           {.data = p.product_parts,
            .num_parts = p.num_chunks,
            .num_rows = sum_floats,
            .num_columns = p.head_dim},
           params.products.As<float>() + p.first_head * params.products.stride(0),
           params.products.stride(1));
  AddParts(context,
           {.data = p.sum_parts,
            .num_parts = p.num_chunks,
            .num_rows = p.num_heads,
            .num_columns = p.head_dim},
           params.sum.As<float>() + p.first_head * params.sum.stride(0), params.sum.stride(0));
}

}  // namespace

void QueryMoments(const Context& context, const QueryMomentsParams& params) {
  const int64_t num_q_heads = params.sum.dim(0);
  const int64_t head_dim = params.sum.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == context.type);
  FASTKV_CHECK(params.sum.dtype() == DType::kF32);
  FASTKV_CHECK(params.products.dtype() == DType::kF32);
  FASTKV_CHECK_LE(head_dim, kMaxHeadDim);
  FASTKV_CHECK_LE(num_q_heads * head_dim, params.qkv.dim(1));
  FASTKV_CHECK_EQ(params.products.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.products.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.products.dim(2), head_dim);
  FASTKV_CHECK_EQ(params.products.stride(0), head_dim * params.products.stride(1));
  if (num_q_heads * head_dim * params.qkv.dim(0) == 0) return;
  KernelParams p = {};
  p.qkv = params.qkv.data();
  p.qkv_stride = params.qkv.stride(0);
  p.norm_weight = params.q_norm_weight.empty() ? nullptr : params.q_norm_weight.As<float>();
  p.norm_epsilon = params.norm_epsilon;
  p.num_tokens = params.qkv.dim(0);
  p.head_dim = static_cast<int>(head_dim);
  const int64_t most_heads = std::min(
      kMaxGridY, context.scratch_bytes / (head_dim * (head_dim + 1) * int64_t{sizeof(float)}));
  FASTKV_CHECK_LE(1, most_heads);
  for (int64_t first = 0; first < num_q_heads; first += most_heads) {
    p.first_head = static_cast<int>(first);
    p.num_heads = static_cast<int>(std::min(most_heads, num_q_heads - first));
    LaunchHeads(context, params, p);
  }
}

}  // namespace fastkv::cuda
