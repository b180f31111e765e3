// Small device functions that several kernels share.
#ifndef FASTKV_BACKEND_CUDA_DEVICE_FUNCTIONS_CUH_
#define FASTKV_BACKEND_CUDA_DEVICE_FUNCTIONS_CUH_

#include <cuda_bf16.h>

#include <cstdint>

namespace fastkv::cuda {

using BF16 = __nv_bfloat16;

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kFullMask = 0xffffffffu;
inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

__device__ __forceinline__ float ToFloat(float value) { return value; }
__device__ __forceinline__ float ToFloat(BF16 value) { return __bfloat162float(value); }

template <typename T>
__device__ __forceinline__ T FromFloat(float value);
template <>
__device__ __forceinline__ float FromFloat<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ BF16 FromFloat<BF16>(float value) {
  return __float2bfloat16_rn(value);
}

// kCount elements that are read and written together.
template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  T values[kCount];
};

// Two floats, rounded, as the two halves of a register; `low` is the lower address.
__device__ __forceinline__ uint32_t PackBF16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// 2^x, the hardware's approximation (error below 2 units in the last place); 2^-inf is 0.
__device__ __forceinline__ float Exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

__device__ __forceinline__ float WarpSum(float value) {
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kFullMask, value, offset);
  }
  return value;
}

__device__ __forceinline__ float WarpMax(float value) {
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kFullMask, value, offset));
  }
  return value;
}

// The sum over a block of kThreads, in every thread. `shared` has a float for each warp.
template <int kThreads>
__device__ __forceinline__ float BlockSum(float value, float* shared) {
  value = WarpSum(value);
  if (threadIdx.x % kWarpSize == 0) shared[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kThreads / kWarpSize; ++warp) sum += shared[warp];
  return sum;
}

// The largest value and the sum of exp2(value - largest): what a softmax over parts is merged from.
// An empty part has largest -inf and sum 0.
struct SoftmaxState {
  float largest;
  float sum;
};

__device__ __forceinline__ SoftmaxState Merge(SoftmaxState a, SoftmaxState b) {
  const float largest = fmaxf(a.largest, b.largest);
  if (largest == -INFINITY) return {-INFINITY, 0.0f};
  return {largest, a.sum * Exp2(a.largest - largest) + b.sum * Exp2(b.largest - largest)};
}

__device__ __forceinline__ SoftmaxState WarpMerge(SoftmaxState state) {
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    SoftmaxState other;
    other.largest = __shfl_xor_sync(kFullMask, state.largest, offset);
    other.sum = __shfl_xor_sync(kFullMask, state.sum, offset);
    state = Merge(state, other);
  }
  return state;
}

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_DEVICE_FUNCTIONS_CUH_
