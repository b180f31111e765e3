#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

// One thread a column; the neighbours come from the first-level cache.
template <PoolingKind kKind>
__global__ void __launch_bounds__(kThreads)
    PoolScoresKernel(const float* scores, int64_t in_stride, int64_t num_rows, int64_t num_columns,
                     int64_t kernel, float* out, int64_t out_stride) {
  const int64_t count = num_rows * num_columns;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    const int64_t row = i / num_columns;
    const int64_t column = i - row * num_columns;
    const int64_t begin = max(int64_t{0}, column - kernel / 2);
    const int64_t end = min(num_columns, column + kernel / 2 + 1);
    const float* from = scores + row * in_stride;
    float pooled = kKind == PoolingKind::kMax ? from[begin] : 0.0f;
    for (int64_t j = begin; j < end; ++j) {
      // Not fmaxf: a comparison with NaN is false, as in the reference.
      if (kKind == PoolingKind::kMax) {
        pooled = pooled < from[j] ? from[j] : pooled;
      } else {
        pooled += from[j];
      }
    }
    out[row * out_stride + column] =
        kKind == PoolingKind::kMax ? pooled : pooled / static_cast<float>(kernel);
  }
}

}  // namespace

void PoolScores(const Context& context, const PoolScoresParams& params) {
  const int64_t num_rows = params.scores.dim(0);
  const int64_t num_columns = params.scores.dim(1);
  FASTKV_CHECK_EQ(params.kernel % 2, 1);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(0), num_rows);
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  if (num_rows * num_columns == 0) return;
  const unsigned grid = GridFor(num_rows * num_columns, kThreads, context.num_multiprocessors);
  const auto kernel = params.kind == PoolingKind::kMax ? PoolScoresKernel<PoolingKind::kMax>
                                                       : PoolScoresKernel<PoolingKind::kAverage>;
  kernel<<<grid, kThreads, 0, context.stream>>>(params.scores.As<float>(), params.scores.stride(0),
                                                num_rows, num_columns, params.kernel,
                                                params.out.As<float>(), params.out.stride(0));
  FASTKV_CHECK_LAUNCH("PoolScoresKernel");
}

}  // namespace fastkv::cuda
