#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarpSize;

// One block a row: the row's largest logit, then the sum of exponentials.
__global__ void __launch_bounds__(kThreads)
    TargetLogProbsKernel(const float* logits, int64_t stride, int64_t vocab_size,
                         const int32_t* targets, float* out, int64_t out_stride) {
  __shared__ float shared_largest[kWarps];
  __shared__ float shared_sum[kWarps];
  const float* row = logits + blockIdx.x * stride;
  float largest = -INFINITY;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < vocab_size; i += kThreads) largest = fmaxf(largest, row[i]);
  largest = WarpMax(largest);
  if (threadIdx.x % kWarpSize == 0) shared_largest[threadIdx.x / kWarpSize] = largest;
  __syncthreads();
  largest = WarpMax(shared_largest[threadIdx.x % kWarpSize]);
  float sum = 0;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < vocab_size; i += kThreads) sum += expf(row[i] - largest);
  sum = BlockSum<kThreads>(sum, shared_sum);
  if (threadIdx.x == 0) {
    out[blockIdx.x * out_stride] = (row[targets[blockIdx.x]] - largest) - logf(sum);
  }
}

}  // namespace

void TargetLogProbs(const Context& context, const TargetLogProbsParams& params) {
  FASTKV_CHECK(params.logits.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(0), params.logits.dim(0));
  if (params.logits.num_elements() == 0) return;
  TargetLogProbsKernel<<<GridX(params.logits.dim(0)), kThreads, 0, context.stream>>>(
      params.logits.As<float>(), params.logits.stride(0), params.logits.dim(1), params.targets,
      params.out.As<float>(), params.out.stride(0));
  FASTKV_CHECK_LAUNCH("TargetLogProbsKernel");
}

}  // namespace fastkv::cuda
