// Radix selection: three passes over a row find the key of the last selected column, a fourth
// counts and a fifth writes the selected columns in ascending order. One block a row, so that
// nothing has to be exchanged through device memory; the passes after the first come from the
// second-level cache.
#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kDigitBits = 11;  // 11 + 11 + 10 bits make a key
constexpr int kNumDigits = 1 << kDigitBits;

// Ascending keys for ascending scores; NaN first; -0 and +0 are the same score.
__device__ __forceinline__ uint32_t KeyOf(float score) {
  if (isnan(score)) return 0;
  const uint32_t bits = __float_as_uint(score == 0.0f ? 0.0f : score);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ int WarpInclusiveSum(int value, int lane) {
#pragma unroll
  for (int offset = 1; offset < kWarpSize; offset *= 2) {
    const int below = __shfl_up_sync(kFullMask, value, offset);
    if (lane >= offset) value += below;
  }
  return value;
}

// Of the columns whose key agrees with `prefix` above `shift + bits`, counts those of each digit.
__device__ void CountDigits(const float* row, int num_columns, uint32_t prefix, int shift, int bits,
                            int* histogram) {
  for (int i = threadIdx.x; i < kNumDigits; i += kThreads) histogram[i] = 0;
  __syncthreads();
  const uint32_t digit_mask = (1u << bits) - 1;
  const int top = shift + bits;
  const int lane = threadIdx.x % kWarpSize;
  const int padded = (num_columns + kThreads - 1) / kThreads * kThreads;
  for (int column = threadIdx.x; column < padded; column += kThreads) {
    bool counted = column < num_columns;
    uint32_t key = 0;
    if (counted) {
      key = KeyOf(row[column]);
      counted = top == 32 || (key >> top) == (prefix >> top);
    }
    const unsigned active = __ballot_sync(kFullMask, counted);
    if (active == 0) continue;
    const int digit = static_cast<int>((key >> shift) & digit_mask);
    // Equal scores are common (zeros, plateaus of max pooling): one addition for a whole warp.
    const int leader = __ffs(static_cast<int>(active)) - 1;
    const int leader_digit = __shfl_sync(kFullMask, digit, leader);
    if (__all_sync(kFullMask, !counted || digit == leader_digit)) {
      if (lane == leader) atomicAdd(&histogram[leader_digit], __popc(active));
    } else if (counted) {
      atomicAdd(&histogram[digit], 1);
    }
  }
  __syncthreads();
}

// The digit at which the counts, summed from the largest digit down, reach `wanted`; subtracts from
// `wanted` what lies above it. Run by the first warp.
__device__ int PickDigit(const int* histogram, int* wanted) {
  constexpr int kDigitsPerLane = kNumDigits / kWarpSize;
  const int lane = threadIdx.x;
  const int first = kNumDigits - 1 - lane * kDigitsPerLane;  // lane 0 has the largest digits
  int sum = 0;
  for (int i = 0; i < kDigitsPerLane; ++i) sum += histogram[first - i];
  const int through = WarpInclusiveSum(sum, lane);
  const unsigned reached = __ballot_sync(kFullMask, through >= *wanted);
  const int owner = __ffs(static_cast<int>(reached)) - 1;
  int digit = 0;
  int left = 0;
  if (lane == owner) {
    left = *wanted - (through - sum);
    digit = first;
    while (histogram[digit] < left) left -= histogram[digit--];
  }
  *wanted = __shfl_sync(kFullMask, left, owner);
  return __shfl_sync(kFullMask, digit, owner);
}

__global__ void __launch_bounds__(kThreads)
    SelectTopKKernel(const float* scores, int64_t stride, int num_columns, int count, int tail,
                     int32_t* out, int64_t out_stride) {
  __shared__ int histogram[kNumDigits];
  __shared__ uint32_t shared_prefix;
  __shared__ int shared_wanted;
  __shared__ int larger_before[kWarps];
  __shared__ int equal_before[kWarps];
  const float* row = scores + blockIdx.x * stride;
  int32_t* to = out + blockIdx.x * out_stride;
  const int lane = threadIdx.x % kWarpSize;
  const int warp = threadIdx.x / kWarpSize;

  for (int i = threadIdx.x; i < tail; i += kThreads) to[count + i] = num_columns + i;
  if (count == num_columns) {
    for (int i = threadIdx.x; i < count; i += kThreads) to[i] = i;
    return;
  }
  if (count == 0) return;

  uint32_t prefix = 0;
  int wanted = count;
  constexpr int kShifts[] = {21, 10, 0};
  constexpr int kBits[] = {11, 11, 10};
#pragma unroll
  for (int pass = 0; pass < 3; ++pass) {
    CountDigits(row, num_columns, prefix, kShifts[pass], kBits[pass], histogram);
    if (warp == 0) {
      const int digit = PickDigit(histogram, &wanted);
      if (lane == 0) {
        shared_prefix = prefix | (static_cast<uint32_t>(digit) << kShifts[pass]);
        shared_wanted = wanted;
      }
    }
    __syncthreads();
    prefix = shared_prefix;
    wanted = shared_wanted;
  }
  // Selected: every key above `prefix`, and the first `wanted` columns whose key equals it.

  const int columns_per_warp =
      ((num_columns + kWarps - 1) / kWarps + kWarpSize - 1) / kWarpSize * kWarpSize;
  const int begin = min(num_columns, warp * columns_per_warp);
  const int end = min(num_columns, begin + columns_per_warp);
  int larger = 0;
  int equal = 0;
  for (int column = begin + lane; column < end; column += kWarpSize) {
    const uint32_t key = KeyOf(row[column]);
    larger += key > prefix;
    equal += key == prefix;
  }
  larger = WarpInclusiveSum(larger, lane);
  equal = WarpInclusiveSum(equal, lane);
  if (lane == kWarpSize - 1) {
    larger_before[warp] = larger;
    equal_before[warp] = equal;
  }
  __syncthreads();
  if (warp == 0) {
    const int larger_here = larger_before[lane];
    const int equal_here = equal_before[lane];
    larger_before[lane] = WarpInclusiveSum(larger_here, lane) - larger_here;
    equal_before[lane] = WarpInclusiveSum(equal_here, lane) - equal_here;
  }
  __syncthreads();

  int num_larger = larger_before[warp];
  int num_equal = equal_before[warp];
  const unsigned lower_lanes = (1u << lane) - 1;
  for (int base = begin; base < end; base += kWarpSize) {
    const int column = base + lane;
    const uint32_t key = column < end ? KeyOf(row[column]) : 0;
    const bool is_larger = column < end && key > prefix;
    const bool is_equal = column < end && key == prefix;
    const unsigned larger_mask = __ballot_sync(kFullMask, is_larger);
    const unsigned equal_mask = __ballot_sync(kFullMask, is_equal);
    const int equal_rank = num_equal + __popc(equal_mask & lower_lanes);
    if (is_larger || (is_equal && equal_rank < wanted)) {
      to[num_larger + __popc(larger_mask & lower_lanes) + min(equal_rank, wanted)] = column;
    }
    num_larger += __popc(larger_mask);
    num_equal += __popc(equal_mask);
  }
}

}  // namespace

void SelectTopK(const Context& context, const SelectTopKParams& params) {
  const int64_t num_rows = params.scores.dim(0);
  const int64_t num_columns = params.scores.dim(1);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kI32);
  FASTKV_CHECK_LE(0, params.count);
  FASTKV_CHECK_LE(params.count, num_columns);
  FASTKV_CHECK_LE(num_columns + params.tail, INT32_MAX / 2);
  FASTKV_CHECK_EQ(params.out.dim(0), num_rows);
  FASTKV_CHECK_EQ(params.out.dim(1), params.count + params.tail);
  if (params.out.num_elements() == 0) return;
  SelectTopKKernel<<<GridX(num_rows), kThreads, 0, context.stream>>>(
      params.scores.As<float>(), params.scores.stride(0), static_cast<int>(num_columns),
      static_cast<int>(params.count), static_cast<int>(params.tail), params.out.As<int32_t>(),
      params.out.stride(0));
  FASTKV_CHECK_LAUNCH("SelectTopKKernel");
}

}  // namespace fastkv::cuda
