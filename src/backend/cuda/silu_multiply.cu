#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/launch_early.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float Silu(float x) { return x / (1.0f + expf(-x)); }

// A grid-stride loop over packs of kWidth columns.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    SiluMultiplyKernel(const T* gate_up, int64_t in_stride, int64_t num_rows,
                       int64_t intermediate_size, T* out, int64_t out_stride) {
  using Packed = Pack<T, kWidth>;
  AdmitNextKernel();
  AwaitEarlierKernels();
  const int64_t packs_per_row = intermediate_size / kWidth;
  const int64_t num_packs = num_rows * packs_per_row;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < num_packs;
       i += gridDim.x * int64_t{kThreads}) {
    const int64_t row = i / packs_per_row;
    const int64_t c = (i - row * packs_per_row) * kWidth;
    const T* gate_row = gate_up + row * in_stride + c;
    const Packed gate = *reinterpret_cast<const Packed*>(gate_row);
    const Packed up = *reinterpret_cast<const Packed*>(gate_row + intermediate_size);
    Packed result;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      result.values[k] = FromFloat<T>(Silu(ToFloat(gate.values[k])) * ToFloat(up.values[k]));
    }
    *reinterpret_cast<Packed*>(out + row * out_stride + c) = result;
  }
}

template <typename T>
void Launch(const Context& context, const SiluMultiplyParams& params) {
  constexpr int kWide = 16 / sizeof(T);
  const auto* gate_up = params.gate_up.As<T>();
  auto* out = params.out.As<T>();
  const int64_t num_rows = params.out.dim(0);
  const int64_t intermediate_size = params.out.dim(1);
  const bool wide = intermediate_size % kWide == 0 && params.gate_up.stride(0) % kWide == 0 &&
                    params.out.stride(0) % kWide == 0 && IsAligned(gate_up, 16) &&
                    IsAligned(out, 16);
  const int64_t num_packs = num_rows * intermediate_size / (wide ? kWide : 1);
  const unsigned grid = GridFor(num_packs, kThreads, context.num_multiprocessors);
  const auto launch = [&](auto kernel) {
    LaunchEarly(context, "SiluMultiplyKernel", kernel, grid, kThreads, 0, gate_up,
                params.gate_up.stride(0), num_rows, intermediate_size, out, params.out.stride(0));
  };
  if (wide) {
    launch(SiluMultiplyKernel<T, kWide>);
  } else {
    launch(SiluMultiplyKernel<T, 1>);
  }
}

}  // namespace

void SiluMultiply(const Context& context, const SiluMultiplyParams& params) {
  FASTKV_CHECK(params.gate_up.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == context.type);
  FASTKV_CHECK_EQ(params.gate_up.dim(0), params.out.dim(0));
  FASTKV_CHECK_EQ(params.gate_up.dim(1), 2 * params.out.dim(1));
  if (params.out.num_elements() == 0) return;
  if (context.type == DType::kBF16) {
    Launch<BF16>(context, params);
  } else {
    Launch<float>(context, params);
  }
}

}  // namespace fastkv::cuda
