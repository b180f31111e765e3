// A product for shapes that cuBLASLt has no algorithm for (odd strides and sizes), and the bias of
// one that cuBLASLt left in float32.
#include <cuda_runtime.h>

#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/mat_mul.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// A warp an output.
template <typename T, typename Out>
__global__ void __launch_bounds__(kThreads)
    PlainMatMulKernel(const T* x, int64_t x_stride, const T* weight, const float* bias, Out* out,
                      int64_t out_stride, int64_t num_rows, int64_t out_features,
                      int64_t in_features, bool accumulate) {
  const int lane = threadIdx.x % kWarpSize;
  const int64_t count = num_rows * out_features;
  for (int64_t i = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarpSize; i < count;
       i += gridDim.x * int64_t{kWarps}) {
    const int64_t row = i / out_features;
    const int64_t feature = i - row * out_features;
    float sum = 0;
    for (int64_t c = lane; c < in_features; c += kWarpSize) {
      sum += ToFloat(x[row * x_stride + c]) * ToFloat(weight[feature * in_features + c]);
    }
    sum = WarpSum(sum);
    if (lane == 0) {
      Out* to = out + row * out_stride + feature;
      if (bias != nullptr) sum += bias[feature];
      if (accumulate) sum += ToFloat(*to);
      *to = FromFloat<Out>(sum);
    }
  }
}

template <typename T, typename Out>
void Launch(const Context& context, const MatMulArguments& a) {
  const int64_t count = a.out.dim(0) * a.out.dim(1);
  PlainMatMulKernel<T, Out>
      <<<GridFor(count, kWarps, context.num_multiprocessors), kThreads, 0, context.stream>>>(
          a.x.As<T>(), a.x.stride(0), a.weight.As<T>(),
          a.bias.empty() ? nullptr : a.bias.As<float>(), a.out.As<Out>(), a.out.stride(0),
          a.out.dim(0), a.out.dim(1), a.weight.dim(1), a.accumulate);
  FASTKV_CHECK_LAUNCH("PlainMatMulKernel");
}

__global__ void __launch_bounds__(kThreads)
    AddBiasAndRoundKernel(const float* x, const float* bias, int64_t num_rows, int64_t out_features,
                          BF16* out, int64_t out_stride) {
  const int64_t count = num_rows * out_features;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    const int64_t row = i / out_features;
    const int64_t feature = i - row * out_features;
    out[row * out_stride + feature] = FromFloat<BF16>(x[i] + bias[feature]);
  }
}

}  // namespace

void PlainMatMul(const Context& context, const MatMulArguments& arguments) {
  if (context.type == DType::kF32) {
    Launch<float, float>(context, arguments);
  } else if (arguments.out.dtype() == DType::kBF16) {
    Launch<BF16, BF16>(context, arguments);
  } else {
    Launch<BF16, float>(context, arguments);
  }
}

void AddBiasAndRound(const Context& context, const ConstTensorView& x, const ConstTensorView& bias,
                     const TensorView& out) {
  AddBiasAndRoundKernel<<<GridFor(x.num_elements(), kThreads, context.num_multiprocessors),
                          kThreads, 0, context.stream>>>(x.As<float>(), bias.As<float>(), x.dim(0),
                                                         x.dim(1), out.As<BF16>(), out.stride(0));
  FASTKV_CHECK_LAUNCH("AddBiasAndRoundKernel");
}

}  // namespace fastkv::cuda
