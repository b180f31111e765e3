#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

// One thread a frequency of a token.
__global__ void RopeTableKernel(const int32_t* positions, const float* frequencies, int64_t half,
                                float attention_factor, int64_t num_tokens, float* cos_sin,
                                int64_t stride) {
  const int64_t count = num_tokens * half;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    const int64_t token = i / half;
    const int64_t c = i - token * half;
    // The product is rounded to float32 by definition (ops.h).
    const float angle = __fmul_rn(static_cast<float>(positions[token]), frequencies[c]);
    float sine;
    float cosine;
    sincosf(angle, &sine, &cosine);
    cos_sin[token * stride + c] = cosine * attention_factor;
    cos_sin[token * stride + half + c] = sine * attention_factor;
  }
}

}  // namespace

void RopeTable(const Context& context, const RopeTableParams& params) {
  const int64_t num_tokens = params.cos_sin.dim(0);
  const int64_t half = params.inverse_frequencies.dim(0);
  FASTKV_CHECK(params.inverse_frequencies.dtype() == DType::kF32);
  FASTKV_CHECK(params.cos_sin.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.cos_sin.dim(1), 2 * half);
  if (num_tokens * half == 0) return;
  RopeTableKernel<<<GridFor(num_tokens * half, kThreads, context.num_multiprocessors), kThreads, 0,
                    context.stream>>>(params.positions, params.inverse_frequencies.As<float>(),
                                      half, params.attention_factor, num_tokens,
                                      params.cos_sin.As<float>(), params.cos_sin.stride(0));
  FASTKV_CHECK_LAUNCH("RopeTableKernel");
}

}  // namespace fastkv::cuda
