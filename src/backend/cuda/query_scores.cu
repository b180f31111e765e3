#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/row_part.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kHeadTile = 16;  // query heads of a block

template <typename T>
struct KernelParams {
  const T* q;  // [num_q_heads, head_dim]
  const T* keys;
  int64_t key_head_stride;
  int64_t kv_len;
  float scale;
  int group_size;
  int head_dim;
  float* out;
  int64_t out_stride;
};

// A warp a key, which meets up to kHeadTile query heads of its group. Grid: (entries, KV head, tile
// of query heads).
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    QueryScoresKernel(const __grid_constant__ KernelParams<T> p) {
  __shared__ __align__(16) float queries[kHeadTile * kMaxHeadDim];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int first = blockIdx.z * kHeadTile;
  const int num_heads = min(kHeadTile, p.group_size - first);
  const int64_t q_head = int64_t{blockIdx.y} * p.group_size + first;
  for (int i = threadIdx.x; i < num_heads * p.head_dim; i += kThreads) {
    queries[i] = ToFloat(p.q[q_head * p.head_dim + i]);
  }
  __syncthreads();
  const T* keys = p.keys + blockIdx.y * p.key_head_stride;
  for (int64_t entry = blockIdx.x * int64_t{kWarps} + warp; entry < p.kv_len;
       entry += gridDim.x * int64_t{kWarps}) {
    float key[kRowValues];
    LoadRowPart<kWidth>(keys + entry * p.head_dim, p.head_dim, lane, key);
    float score = 0;  // of query head `lane` of the tile
    for (int h = 0; h < num_heads; ++h) {
      float query[kRowValues];
      LoadRowPart<kWidth>(queries + h * p.head_dim, p.head_dim, lane, query);
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kRowValues; ++i) sum += key[i] * query[i];
      sum = WarpSum(sum);
      if (lane == h) score = sum;
    }
    if (lane < num_heads) p.out[(q_head + lane) * p.out_stride + entry] = score * p.scale;
  }
}

template <typename T>
void Launch(const Context& context, const QueryScoresParams& params) {
  KernelParams<T> p = {};
  p.q = params.q.As<T>();
  p.keys = params.keys.As<T>();
  p.key_head_stride = params.keys.stride(0);
  p.kv_len = params.keys.dim(1);
  p.scale = params.scale;
  p.group_size = static_cast<int>(params.q.dim(1) / params.keys.dim(0));
  p.head_dim = static_cast<int>(params.keys.dim(2));
  p.out = params.out.As<float>();
  p.out_stride = params.out.stride(0);
  const dim3 grid(GridFor(p.kv_len, kWarps, context.num_multiprocessors),
                  static_cast<unsigned>(params.keys.dim(0)),
                  static_cast<unsigned>(CeilDivide(p.group_size, kHeadTile)));
  const auto kernel =
      RowsAreWide(params.keys) ? QueryScoresKernel<T, kRowWidth> : QueryScoresKernel<T, 1>;
  kernel<<<grid, kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("QueryScoresKernel");
}

}  // namespace

void QueryScores(const Context& context, const QueryScoresParams& params) {
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t head_dim = params.keys.dim(2);
  FASTKV_CHECK(params.q.dtype() == context.type);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.q.dim(0), 1);
  FASTKV_CHECK_EQ(params.q.dim(2), head_dim);
  FASTKV_CHECK_EQ(params.q.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.keys.stride(1), head_dim);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.out.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), params.keys.dim(1));
  FASTKV_CHECK_LE(head_dim, kMaxHeadDim);
  FASTKV_CHECK_LE(num_q_heads, kMaxGridY);
  if (params.keys.dim(1) == 0) return;
  if (context.type == DType::kBF16) {
    Launch<BF16>(context, params);
  } else {
    Launch<float>(context, params);
  }
}

}  // namespace fastkv::cuda
