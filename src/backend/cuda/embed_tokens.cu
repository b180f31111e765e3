#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

// One block a token.
template <typename T>
__global__ void EmbedTokensKernel(const T* table, const int32_t* ids, int64_t hidden_size,
                                  float* out, int64_t out_stride) {
  const T* row = table + ids[blockIdx.x] * hidden_size;
  float* to = out + blockIdx.x * out_stride;
  for (int64_t c = threadIdx.x; c < hidden_size; c += kThreads) to[c] = ToFloat(row[c]);
}

}  // namespace

void EmbedTokens(const Context& context, const ConstTensorView& table, const int32_t* ids,
                 const TensorView& out) {
  const int64_t num_tokens = out.dim(0);
  if (num_tokens == 0) return;
  FASTKV_CHECK(out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(out.dim(1), table.dim(1));
  const unsigned grid = GridX(num_tokens);
  if (context.type == DType::kBF16) {
    EmbedTokensKernel<<<grid, kThreads, 0, context.stream>>>(table.As<BF16>(), ids, table.dim(1),
                                                             out.As<float>(), out.stride(0));
  } else {
    EmbedTokensKernel<<<grid, kThreads, 0, context.stream>>>(table.As<float>(), ids, table.dim(1),
                                                             out.As<float>(), out.stride(0));
  }
  FASTKV_CHECK_LAUNCH("EmbedTokensKernel");
}

}  // namespace fastkv::cuda
