// The mean direction of a head's keys in parts, then as a whole, then every key's cosine to it.
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/row_part.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int64_t kMinChunk = 64;  // entries of a block
constexpr int64_t kMaxChunks = 256;

template <typename T>
struct KernelParams {
  const T* keys;
  int64_t key_head_stride;
  int64_t kv_len;
  int head_dim;
  int64_t chunk;
  int num_chunks;
  float* parts;    // [num_heads, num_chunks, head_dim]
  float* anchors;  // [num_heads, head_dim], of norm 1 or 0
  float* out;
  int64_t out_stride;
};

// Grid: (chunk, head). Products and sums are rounded apart: fused, a key and its opposite would not
// cancel.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    AnchorPartsKernel(const __grid_constant__ KernelParams<T> p) {
  __shared__ float sums[kWarps][kMaxHeadDim];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const T* keys = p.keys + blockIdx.y * p.key_head_stride;
  const int64_t begin = blockIdx.x * p.chunk;
  const int64_t end = min(p.kv_len, begin + p.chunk);
  float sum[kRowValues] = {};
  for (int64_t entry = begin + warp; entry < end; entry += kWarps) {
    float key[kRowValues];
    LoadRowPart<kWidth>(keys + entry * p.head_dim, p.head_dim, lane, key);
    const float squares = SumOfSquares(key);
    if (squares == 0) continue;
    const float inverse_norm = 1.0f / sqrtf(squares);
#pragma unroll
    for (int i = 0; i < kRowValues; ++i) {
      sum[i] = __fadd_rn(sum[i], __fmul_rn(key[i], inverse_norm));
    }
  }
#pragma unroll
  for (int i = 0; i < kRowValues; ++i) sums[warp][RowComponent<kWidth>(lane, i)] = sum[i];
  __syncthreads();
  float* part = p.parts + (int64_t{blockIdx.y} * p.num_chunks + blockIdx.x) * p.head_dim;
  for (int c = threadIdx.x; c < p.head_dim; c += kThreads) {
    float total = sums[0][c];
    for (int w = 1; w < kWarps; ++w) total += sums[w][c];
    part[c] = total;
  }
}

// A block a head, a thread a component.
__global__ void __launch_bounds__(kMaxHeadDim)
    AnchorKernel(const float* parts, int num_chunks, int head_dim, float* anchors) {
  __shared__ float shared[kMaxHeadDim / kWarpSize];
  const int c = threadIdx.x;
  float total = 0;
  if (c < head_dim) {
    const float* part = parts + int64_t{blockIdx.x} * num_chunks * head_dim + c;
    for (int i = 0; i < num_chunks; ++i) total += part[int64_t{i} * head_dim];
  }
  const float norm = sqrtf(BlockSum<kMaxHeadDim>(total * total, shared));
  if (c < head_dim) anchors[int64_t{blockIdx.x} * head_dim + c] = norm > 0 ? total / norm : 0.0f;
}

// A warp a key; grid dimension y is the head.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    CosinesKernel(const __grid_constant__ KernelParams<T> p) {
  const int lane = threadIdx.x % kWarpSize;
  const int64_t head = blockIdx.y;
  const T* keys = p.keys + head * p.key_head_stride;
  float anchor[kRowValues];
  LoadRowPart<kWidth>(p.anchors + head * p.head_dim, p.head_dim, lane, anchor);
  for (int64_t entry = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarpSize; entry < p.kv_len;
       entry += gridDim.x * int64_t{kWarps}) {
    float key[kRowValues];
    LoadRowPart<kWidth>(keys + entry * p.head_dim, p.head_dim, lane, key);
    float dot = 0;
#pragma unroll
    for (int i = 0; i < kRowValues; ++i) dot += key[i] * anchor[i];
    dot = WarpSum(dot);
    const float norm = sqrtf(SumOfSquares(key));
    if (lane == 0) p.out[head * p.out_stride + entry] = norm > 0 ? 0.0f - dot / norm : 0.0f;
  }
}

template <typename T, int kWidth>
void Launch(const Context& context, const KernelParams<T>& p, int64_t num_heads) {
  const auto heads = static_cast<unsigned>(num_heads);
  AnchorPartsKernel<T, kWidth>
      <<<dim3(static_cast<unsigned>(p.num_chunks), heads), kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("AnchorPartsKernel");
  AnchorKernel<<<heads, kMaxHeadDim, 0, context.stream>>>(p.parts, p.num_chunks, p.head_dim,
                                                          p.anchors);
  FASTKV_CHECK_LAUNCH("AnchorKernel");
  const dim3 grid(GridFor(p.kv_len, kWarps, context.num_multiprocessors), heads);
  CosinesKernel<T, kWidth><<<grid, kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("CosinesKernel");
}

template <typename T>
void LaunchForType(const Context& context, const KeyDiffScoresParams& params) {
  const int64_t num_heads = params.keys.dim(0);
  KernelParams<T> p = {};
  p.keys = params.keys.As<T>();
  p.key_head_stride = params.keys.stride(0);
  p.kv_len = params.keys.dim(1);
  p.head_dim = static_cast<int>(params.keys.dim(2));
  p.out = params.out.As<float>();
  p.out_stride = params.out.stride(0);
  const int64_t anchor_bytes = num_heads * p.head_dim * int64_t{sizeof(float)};
  const int64_t max_chunks = std::min(kMaxChunks, context.scratch_bytes / anchor_bytes - 1);
  FASTKV_CHECK_LE(1, max_chunks);
  p.chunk = std::max(kMinChunk, CeilDivide(p.kv_len, max_chunks));
  p.num_chunks = static_cast<int>(CeilDivide(p.kv_len, p.chunk));
  p.anchors = reinterpret_cast<float*>(context.scratch);
  p.parts = p.anchors + num_heads * p.head_dim;
  if (RowsAreWide(params.keys)) {
    Launch<T, kRowWidth>(context, p, num_heads);
  } else {
    Launch<T, 1>(context, p, num_heads);
  }
}

}  // namespace

void KeyDiffScores(const Context& context, const KeyDiffScoresParams& params) {
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.keys.stride(1), params.keys.dim(2));
  FASTKV_CHECK_EQ(params.out.dim(0), params.keys.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), params.keys.dim(1));
  FASTKV_CHECK_LE(params.keys.dim(2), kMaxHeadDim);
  FASTKV_CHECK_LE(params.keys.dim(0), kMaxGridY);
  if (params.keys.dim(0) * params.keys.dim(1) == 0) return;
  if (context.type == DType::kBF16) {
    LaunchForType<BF16>(context, params);
  } else {
    LaunchForType<float>(context, params);
  }
}

}  // namespace fastkv::cuda
