#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

// One thread a column of a group.
__global__ void __launch_bounds__(kThreads)
    ReduceRowsKernel(const float* scores, int64_t in_stride, int64_t group_rows, int64_t num_groups,
                     int64_t num_columns, ReductionKind kind, float* out, int64_t out_stride) {
  const int64_t count = num_groups * num_columns;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    const int64_t group = i / num_columns;
    const int64_t column = i - group * num_columns;
    const float* from = scores + group * group_rows * in_stride + column;
    float reduced = from[0];
#pragma unroll 4
    for (int64_t row = 1; row < group_rows; ++row) {
      const float value = from[row * in_stride];
      if (kind == ReductionKind::kMax) {
        reduced = reduced < value ? value : reduced;
      } else {
        reduced += value;
      }
    }
    if (kind == ReductionKind::kMean) reduced /= static_cast<float>(group_rows);
    out[group * out_stride + column] = reduced;
  }
}

}  // namespace

void ReduceRows(const Context& context, const ReduceRowsParams& params) {
  const int64_t num_rows = params.scores.dim(0);
  const int64_t num_columns = params.scores.dim(1);
  const int64_t num_groups = params.out.dim(0);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  if (num_groups * num_columns == 0) return;
  FASTKV_CHECK_EQ(num_rows % num_groups, 0);
  ReduceRowsKernel<<<GridFor(num_groups * num_columns, kThreads, context.num_multiprocessors),
                     kThreads, 0, context.stream>>>(
      params.scores.As<float>(), params.scores.stride(0), num_rows / num_groups, num_groups,
      num_columns, params.kind, params.out.As<float>(), params.out.stride(0));
  FASTKV_CHECK_LAUNCH("ReduceRowsKernel");
}

}  // namespace fastkv::cuda
