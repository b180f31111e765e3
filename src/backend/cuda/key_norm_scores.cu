#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/row_part.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;

// A warp a key; grid dimension y is the head.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    KeyNormScoresKernel(const T* keys, int64_t head_stride, int64_t kv_len, int head_dim,
                        float* out, int64_t out_stride) {
  const int lane = threadIdx.x % kWarpSize;
  const int64_t head = blockIdx.y;
  for (int64_t entry = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarpSize; entry < kv_len;
       entry += gridDim.x * int64_t{kWarps}) {
    float key[kRowValues];
    LoadRowPart<kWidth>(keys + head * head_stride + entry * head_dim, head_dim, lane, key);
    const float norm = sqrtf(SumOfSquares(key));
    if (lane == 0) out[head * out_stride + entry] = -norm;
  }
}

template <typename T>
void Launch(const Context& context, const KeyNormScoresParams& params) {
  const int64_t kv_len = params.keys.dim(1);
  const dim3 grid(GridFor(kv_len, kWarps, context.num_multiprocessors),
                  static_cast<unsigned>(params.keys.dim(0)));
  const auto kernel =
      RowsAreWide(params.keys) ? KeyNormScoresKernel<T, kRowWidth> : KeyNormScoresKernel<T, 1>;
  kernel<<<grid, kThreads, 0, context.stream>>>(params.keys.As<T>(), params.keys.stride(0), kv_len,
                                                static_cast<int>(params.keys.dim(2)),
                                                params.out.As<float>(), params.out.stride(0));
  FASTKV_CHECK_LAUNCH("KeyNormScoresKernel");
}

}  // namespace

void KeyNormScores(const Context& context, const KeyNormScoresParams& params) {
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.keys.stride(1), params.keys.dim(2));
  FASTKV_CHECK_EQ(params.out.dim(0), params.keys.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), params.keys.dim(1));
  FASTKV_CHECK_LE(params.keys.dim(2), kMaxHeadDim);
  FASTKV_CHECK_LE(params.keys.dim(0), kMaxGridY);
  if (params.keys.dim(0) * params.keys.dim(1) == 0) return;
  if (context.type == DType::kBF16) {
    Launch<BF16>(context, params);
  } else {
    Launch<float>(context, params);
  }
}

}  // namespace fastkv::cuda
