#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarpSize;

struct Best {
  float logit;
  int32_t index;
  bool broken;  // a logit is NaN or +inf
};

__device__ __forceinline__ Best Better(const Best& a, const Best& b) {
  const bool take_b = b.logit > a.logit || (b.logit == a.logit && b.index < a.index);
  return {take_b ? b.logit : a.logit, take_b ? b.index : a.index, a.broken || b.broken};
}

__device__ __forceinline__ Best WarpBest(Best best) {
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    Best other;
    other.logit = __shfl_xor_sync(kFullMask, best.logit, offset);
    other.index = __shfl_xor_sync(kFullMask, best.index, offset);
    other.broken = __shfl_xor_sync(kFullMask, static_cast<int>(best.broken), offset) != 0;
    best = Better(best, other);
  }
  return best;
}

// One block a row.
__global__ void __launch_bounds__(kThreads)
    ArgMaxKernel(const float* logits, int64_t stride, int64_t vocab_size, int32_t* out,
                 int64_t out_stride) {
  __shared__ Best shared[kWarps];
  const float* row = logits + blockIdx.x * stride;
  Best best = {-INFINITY, INT32_MAX, false};
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < vocab_size; i += kThreads) {
    const float logit = row[i];
    best = Better(best, {logit, static_cast<int32_t>(i), isnan(logit) || logit == INFINITY});
  }
  best = WarpBest(best);
  if (threadIdx.x % kWarpSize == 0) shared[threadIdx.x / kWarpSize] = best;
  __syncthreads();
  if (threadIdx.x < kWarpSize) {
    best = WarpBest(shared[threadIdx.x]);
    if (threadIdx.x == 0) out[blockIdx.x * out_stride] = best.broken ? -1 : best.index;
  }
}

}  // namespace

void ArgMax(const Context& context, const ArgMaxParams& params) {
  FASTKV_CHECK(params.logits.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kI32);
  FASTKV_CHECK_EQ(params.out.dim(0), params.logits.dim(0));
  if (params.logits.num_elements() == 0) return;
  ArgMaxKernel<<<GridX(params.logits.dim(0)), kThreads, 0, context.stream>>>(
      params.logits.As<float>(), params.logits.stride(0), params.logits.dim(1),
      params.out.As<int32_t>(), params.out.stride(0));
  FASTKV_CHECK_LAUNCH("ArgMaxKernel");
}

}  // namespace fastkv::cuda
