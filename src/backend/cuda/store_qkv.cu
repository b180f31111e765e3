#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/launch_early.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;

template <typename T>
struct KernelParams {
  const T* qkv;
  int64_t qkv_stride;
  const float* q_norm_weight;  // or null
  const float* k_norm_weight;  // or null
  float norm_epsilon;
  const float* cos_sin;
  int64_t cos_sin_stride;
  T* q;
  int64_t q_stride;  // from token to token
  T* keys;
  int64_t key_head_stride;
  int64_t key_stride;
  T* values;
  int64_t value_head_stride;
  int64_t value_stride;
  int64_t num_tokens;
  int num_q_heads;
  int num_kv_heads;
  int head_dim;
};

// kWidth neighbouring components at a time; each lane rotates its components c and c + half.
template <typename T, int kWidth>
__device__ void NormAndRotate(const T* from, const float* norm_weight, float epsilon,
                              const float* cos_sin, int head_dim, int lane, T* to) {
  using In = Pack<T, kWidth>;
  using Floats = Pack<float, kWidth>;
  const int half = head_dim / 2;
  float inverse_norm = 1;
  if (norm_weight != nullptr) {
    float sum = 0;
    for (int c = lane * kWidth; c < head_dim; c += kWarpSize * kWidth) {
      const In x = *reinterpret_cast<const In*>(from + c);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sum += ToFloat(x.values[i]) * ToFloat(x.values[i]);
    }
    inverse_norm = 1.0f / sqrtf(WarpSum(sum) / static_cast<float>(head_dim) + epsilon);
  }
  for (int c = lane * kWidth; c < half; c += kWarpSize * kWidth) {
    const In first = *reinterpret_cast<const In*>(from + c);
    const In second = *reinterpret_cast<const In*>(from + half + c);
    const Floats cosine = *reinterpret_cast<const Floats*>(cos_sin + c);
    const Floats sine = *reinterpret_cast<const Floats*>(cos_sin + half + c);
    In rotated_first;
    In rotated_second;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      float a = ToFloat(first.values[i]);
      float b = ToFloat(second.values[i]);
      if (norm_weight != nullptr) {
        a *= inverse_norm * norm_weight[c + i];
        b *= inverse_norm * norm_weight[half + c + i];
      }
      rotated_first.values[i] = FromFloat<T>(a * cosine.values[i] - b * sine.values[i]);
      rotated_second.values[i] = FromFloat<T>(b * cosine.values[i] + a * sine.values[i]);
    }
    *reinterpret_cast<In*>(to + c) = rotated_first;
    *reinterpret_cast<In*>(to + half + c) = rotated_second;
  }
}

// A block serves one token; its warps, and the blocks of grid dimension y, share the heads.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kWarps* kWarpSize)
    StoreQkvKernel(const __grid_constant__ KernelParams<T> p) {
  AdmitNextKernel();
  AwaitEarlierKernels();
  const int64_t token = blockIdx.x;
  const int lane = threadIdx.x % kWarpSize;
  const int num_heads = p.num_q_heads + 2 * p.num_kv_heads;
  const float* cos_sin = p.cos_sin + token * p.cos_sin_stride;
  for (int head = blockIdx.y * kWarps + threadIdx.x / kWarpSize; head < num_heads;
       head += gridDim.y * kWarps) {
    const T* from = p.qkv + token * p.qkv_stride + int64_t{head} * p.head_dim;
    if (head < p.num_q_heads) {
      NormAndRotate<T, kWidth>(from, p.q_norm_weight, p.norm_epsilon, cos_sin, p.head_dim, lane,
                               p.q + token * p.q_stride + int64_t{head} * p.head_dim);
    } else if (head < p.num_q_heads + p.num_kv_heads) {
      const int kv_head = head - p.num_q_heads;
      NormAndRotate<T, kWidth>(from, p.k_norm_weight, p.norm_epsilon, cos_sin, p.head_dim, lane,
                               p.keys + kv_head * p.key_head_stride + token * p.key_stride);
    } else {
      const int kv_head = head - p.num_q_heads - p.num_kv_heads;
      T* to = p.values + kv_head * p.value_head_stride + token * p.value_stride;
      for (int c = lane * kWidth; c < p.head_dim; c += kWarpSize * kWidth) {
        *reinterpret_cast<Pack<T, kWidth>*>(to + c) =
            *reinterpret_cast<const Pack<T, kWidth>*>(from + c);
      }
    }
  }
}

template <typename T>
void Launch(const Context& context, const StoreQkvParams& params) {
  KernelParams<T> p = {};
  p.qkv = params.qkv.As<T>();
  p.qkv_stride = params.qkv.stride(0);
  p.q_norm_weight = params.q_norm_weight.empty() ? nullptr : params.q_norm_weight.As<float>();
  p.k_norm_weight = params.k_norm_weight.empty() ? nullptr : params.k_norm_weight.As<float>();
  p.norm_epsilon = params.norm_epsilon;
  p.cos_sin = params.cos_sin.As<float>();
  p.cos_sin_stride = params.cos_sin.stride(0);
  if (!params.q.empty()) {
    p.q = params.q.As<T>();
    p.q_stride = params.q.stride(0);
    p.num_q_heads = static_cast<int>(params.q.dim(1));
  }
  p.keys = params.keys.As<T>();
  p.key_head_stride = params.keys.stride(0);
  p.key_stride = params.keys.stride(1);
  p.values = params.values.As<T>();
  p.value_head_stride = params.values.stride(0);
  p.value_stride = params.values.stride(1);
  p.num_tokens = params.qkv.dim(0);
  p.num_kv_heads = static_cast<int>(params.keys.dim(0));
  p.head_dim = static_cast<int>(params.keys.dim(2));

  const int num_heads = p.num_q_heads + 2 * p.num_kv_heads;
  // Few tokens: spread the heads over more blocks.
  const int64_t groups = CeilDivide(num_heads, kWarps);
  const dim3 grid(GridX(p.num_tokens),
                  static_cast<unsigned>(p.num_tokens < context.num_multiprocessors ? groups : 1));
  const auto fits = [&](int64_t width) {
    const auto bytes = static_cast<int64_t>(width * sizeof(T));
    return p.head_dim % (2 * width) == 0 && p.qkv_stride % width == 0 && p.q_stride % width == 0 &&
           p.key_head_stride % width == 0 && p.key_stride % width == 0 &&
           p.value_head_stride % width == 0 && p.value_stride % width == 0 &&
           p.cos_sin_stride % width == 0 && IsAligned(p.qkv, bytes) && IsAligned(p.q, bytes) &&
           IsAligned(p.keys, bytes) && IsAligned(p.values, bytes) &&
           IsAligned(p.cos_sin, static_cast<int64_t>(width * sizeof(float)));
  };
  if (fits(2)) {
    LaunchEarly(context, "StoreQkvKernel", StoreQkvKernel<T, 2>, grid, kWarps * kWarpSize, 0, p);
  } else {
    LaunchEarly(context, "StoreQkvKernel", StoreQkvKernel<T, 1>, grid, kWarps * kWarpSize, 0, p);
  }
}

}  // namespace

void StoreQkv(const Context& context, const StoreQkvParams& params) {
  const int64_t num_tokens = params.qkv.dim(0);
  const int64_t head_dim = params.keys.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t num_q_heads = params.q.empty() ? 0 : params.q.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == context.type);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.values.dtype() == context.type);
  FASTKV_CHECK(params.cos_sin.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.qkv.dim(1), (num_q_heads + 2 * num_kv_heads) * head_dim);
  FASTKV_CHECK_EQ(params.keys.dim(1), num_tokens);
  FASTKV_CHECK_EQ(params.values.dim(1), num_tokens);
  FASTKV_CHECK_EQ(params.cos_sin.dim(1), head_dim);
  if (!params.q.empty()) {
    FASTKV_CHECK(params.q.dtype() == context.type);
    FASTKV_CHECK_EQ(params.q.dim(0), num_tokens);
    FASTKV_CHECK_EQ(params.q.stride(1), head_dim);
  }
  if (num_tokens == 0) return;
  if (context.type == DType::kBF16) {
    Launch<BF16>(context, params);
  } else {
    Launch<float>(context, params);
  }
}

}  // namespace fastkv::cuda
