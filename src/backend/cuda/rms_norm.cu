#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/launch_early.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;
// What a thread keeps of its row between the two passes, so that the row is read once; longer rows
// are read again from the second pass on.
constexpr int kKeptPacks = 8;

// One block a row; kWidth columns at a time.
template <typename Out, int kWidth>
__global__ void __launch_bounds__(kThreads)
    RmsNormKernel(const float* x, int64_t x_stride, const float* weight, int64_t hidden_size,
                  float epsilon, Out* out, int64_t out_stride) {
  using In = Pack<float, kWidth>;
  __shared__ float shared[kThreads / kWarpSize];
  const auto* row = reinterpret_cast<const In*>(x + blockIdx.x * x_stride);
  const auto* weights = reinterpret_cast<const In*>(weight);
  auto* to = reinterpret_cast<Pack<Out, kWidth>*>(out + blockIdx.x * out_stride);
  const int64_t num_packs = hidden_size / kWidth;
  AdmitNextKernel();
  AwaitEarlierKernels();

  In kept[kKeptPacks];
  float sum = 0;
  const auto add_squares = [&](const In& pack) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sum += pack.values[i] * pack.values[i];
  };
#pragma unroll
  for (int k = 0; k < kKeptPacks; ++k) {
    const int64_t c = threadIdx.x + int64_t{k} * kThreads;
    if (c < num_packs) {
      kept[k] = row[c];
      add_squares(kept[k]);
    }
  }
  for (int64_t c = threadIdx.x + int64_t{kKeptPacks} * kThreads; c < num_packs; c += kThreads) {
    add_squares(row[c]);
  }
  sum = BlockSum<kThreads>(sum, shared);
  const float inverse_norm = 1.0f / sqrtf(sum / static_cast<float>(hidden_size) + epsilon);

  const auto write = [&](int64_t c, const In& pack) {
    const In w = weights[c];
    Pack<Out, kWidth> result;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      result.values[i] = FromFloat<Out>(pack.values[i] * inverse_norm * w.values[i]);
    }
    to[c] = result;
  };
#pragma unroll
  for (int k = 0; k < kKeptPacks; ++k) {
    const int64_t c = threadIdx.x + int64_t{k} * kThreads;
    if (c < num_packs) write(c, kept[k]);
  }
  for (int64_t c = threadIdx.x + int64_t{kKeptPacks} * kThreads; c < num_packs; c += kThreads) {
    write(c, row[c]);
  }
}

template <typename Out>
void Launch(const Context& context, const RmsNormParams& params) {
  const auto* x = params.x.As<float>();
  const auto* weight = params.weight.As<float>();
  auto* out = params.out.As<Out>();
  const int64_t hidden_size = params.x.dim(1);
  const unsigned grid = GridX(params.x.dim(0));
  const bool by_four = hidden_size % 4 == 0 && params.x.stride(0) % 4 == 0 &&
                       params.out.stride(0) % 4 == 0 && IsAligned(x, 16) && IsAligned(weight, 16) &&
                       IsAligned(out, 4 * sizeof(Out));
  const auto launch = [&](auto kernel) {
    LaunchEarly(context, "RmsNormKernel", kernel, grid, kThreads, 0, x, params.x.stride(0), weight,
                hidden_size, params.epsilon, out, params.out.stride(0));
  };
  if (by_four) {
    launch(RmsNormKernel<Out, 4>);
  } else {
    launch(RmsNormKernel<Out, 1>);
  }
}

}  // namespace

void RmsNorm(const Context& context, const RmsNormParams& params) {
  FASTKV_CHECK(params.x.dtype() == DType::kF32);
  FASTKV_CHECK(params.weight.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == context.type);
  FASTKV_CHECK_EQ(params.out.dim(0), params.x.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), params.x.dim(1));
  FASTKV_CHECK_EQ(params.weight.dim(0), params.x.dim(1));
  if (params.x.dim(0) == 0) return;
  if (context.type == DType::kBF16) {
    Launch<BF16>(context, params);
  } else {
    Launch<float>(context, params);
  }
}

}  // namespace fastkv::cuda
