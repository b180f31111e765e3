#include "backend/cuda/add_parts.h"

#include <cuda_runtime.h>

#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

// One thread an element.
__global__ void __launch_bounds__(kThreads)
    AddPartsKernel(const __grid_constant__ Parts parts, float* out, int64_t out_stride) {
  const int64_t count = parts.num_rows * parts.num_columns;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    float total = parts.data[i];
#pragma unroll 4
    for (int part = 1; part < parts.num_parts; ++part) total += parts.data[part * count + i];
    out[i / parts.num_columns * out_stride + i % parts.num_columns] += total;
  }
}

}  // namespace

void AddParts(const Context& context, const Parts& parts, float* out, int64_t out_stride) {
  const int64_t count = parts.num_rows * parts.num_columns;
  if (count == 0) return;
  AddPartsKernel<<<GridFor(count, kThreads, context.num_multiprocessors), kThreads, 0,
                   context.stream>>>(parts, out, out_stride);
  FASTKV_CHECK_LAUNCH("AddPartsKernel");
}

}  // namespace fastkv::cuda
