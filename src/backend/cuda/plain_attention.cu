// Attention by plain multiply-adds: for float32, and for head sizes or alignments that the tensor
// cores' kernels do not take. A warp owns a query row, a block's warps share tiles of entries.
#include <cuda_runtime.h>

#include "backend/cuda/attention.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kTile = kWarpSize;  // entries: one a lane
constexpr int kDimsPerLane = kMaxHeadDim / kWarpSize;

// Rows of a KV head: row r is token r / group_size, query head r % group_size of the group.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    PlainAttentionKernel(const __grid_constant__ SequenceAttention a) {
  extern __shared__ float shared[];
  const int row_floats = a.head_dim + 1;  // an odd stride: lanes read a column without conflicts
  float* key_tile = shared;               // [kTile][row_floats]
  float* value_tile = key_tile + kTile * row_floats;  // [kTile][head_dim]
  float* queries = value_tile + kTile * a.head_dim;   // [kWarps][head_dim]

  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int kv_head = blockIdx.y;
  const HeadKv<T> kv(a.kv, a.head_begin, kv_head, a.head_dim);
  const int64_t num_rows = a.q_len * a.group_size;
  const int64_t row = blockIdx.x * int64_t{kWarps} + warp;
  const bool has_row = row < num_rows;
  const int64_t token = has_row ? row / a.group_size : 0;
  const int64_t q_head =
      kv_head * int64_t{a.group_size} + (has_row ? row - token * a.group_size : 0);
  const auto visible_to = [&](int64_t i) {
    return kv.num_entries - (a.kv.tail_len == 0 ? 0 : a.q_len - 1 - i);
  };
  const int64_t visible = has_row ? visible_to(token) : 0;
  const int64_t last_row = min(num_rows, (blockIdx.x + int64_t{1}) * kWarps) - 1;
  const int64_t block_visible = visible_to(last_row / a.group_size);
  const int64_t oldest =
      a.window > 0 && has_row ? int64_t{kv.Position(visible - 1)} - a.window : INT64_MIN;

  if (has_row) {
    const T* q = static_cast<const T*>(a.q) + token * a.q_stride + q_head * a.head_dim;
    for (int c = lane; c < a.head_dim; c += kWarpSize) {
      queries[warp * a.head_dim + c] = ToFloat(q[c]);
    }
  }
  const float* query = queries + warp * a.head_dim;
  const float scale = a.scale * kLog2E;
  float largest = -INFINITY;
  float sum = 0;
  float out[kDimsPerLane] = {};

  for (int64_t begin = 0; begin < block_visible; begin += kTile) {
    __syncthreads();
    for (int i = threadIdx.x; i < kTile * a.head_dim; i += kThreads) {
      const int j = i / a.head_dim;
      const int c = i - j * a.head_dim;
      const int64_t entry = begin + j;
      const bool inside = entry < block_visible;
      key_tile[j * row_floats + c] = inside ? ToFloat(kv.Key(entry)[c]) : 0.0f;
      value_tile[i] = inside ? ToFloat(kv.Value(entry)[c]) : 0.0f;
    }
    __syncthreads();
    const int64_t entry = begin + lane;
    bool sees = entry < visible;
    if (sees && a.window > 0) sees = kv.Position(entry) > oldest;
    float score = 0;
    for (int c = 0; c < a.head_dim; ++c) score += query[c] * key_tile[lane * row_floats + c];
    score = sees ? score * scale : -INFINITY;
    const float new_largest = fmaxf(largest, WarpMax(score));
    if (new_largest == -INFINITY) continue;
    const float probability = exp2f(score - new_largest);
    const float correction = exp2f(largest - new_largest);
    largest = new_largest;
    sum = sum * correction + WarpSum(probability);
#pragma unroll
    for (int k = 0; k < kDimsPerLane; ++k) out[k] *= correction;
    for (int j = 0; j < kTile; ++j) {
      const float p = __shfl_sync(kFullMask, probability, j);
#pragma unroll
      for (int k = 0; k < kDimsPerLane; ++k) {
        const int c = lane + k * kWarpSize;
        if (c < a.head_dim) out[k] += p * value_tile[j * a.head_dim + c];
      }
    }
  }
  if (!has_row) return;
  T* to = static_cast<T*>(a.out) + token * a.out_stride + q_head * a.head_dim;
#pragma unroll
  for (int k = 0; k < kDimsPerLane; ++k) {
    const int c = lane + k * kWarpSize;
    if (c < a.head_dim) to[c] = FromFloat<T>(out[k] / sum);
  }
  if (a.log_sum_exp != nullptr && lane == 0) {
    a.log_sum_exp[token * a.log_sum_exp_stride + q_head] = largest * kLn2 + logf(sum);
  }
}

}  // namespace

void PlainAttention(const Context& context, const SequenceAttention& attention) {
  FASTKV_CHECK_LE(attention.head_dim, kMaxHeadDim);
  const int64_t num_rows = attention.q_len * attention.group_size;
  const dim3 grid(GridX(CeilDivide(num_rows, kWarps)),
                  static_cast<unsigned>(attention.num_kv_heads));
  const int shared_bytes = static_cast<int>(sizeof(float)) *
                           (kTile * (2 * attention.head_dim + 1) + kWarps * attention.head_dim);
  const auto kernel =
      context.type == DType::kBF16 ? PlainAttentionKernel<BF16> : PlainAttentionKernel<float>;
  FASTKV_CUDA_CHECK(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes));
  kernel<<<grid, kThreads, shared_bytes, context.stream>>>(attention);
  FASTKV_CHECK_LAUNCH("PlainAttentionKernel");
}

}  // namespace fastkv::cuda
