// One row of keys or values in the registers of a warp.
#ifndef FASTKV_BACKEND_CUDA_ROW_PART_CUH_
#define FASTKV_BACKEND_CUDA_ROW_PART_CUH_

#include "backend/cuda/attention.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "tensor/tensor_view.h"

namespace fastkv::cuda {

inline constexpr int kRowValues = kMaxHeadDim / kWarpSize;
// Neighbouring components that a lane reads at once, where they are aligned.
inline constexpr int kRowWidth = 4;

// The component that values[i] of a lane holds.
template <int kWidth>
__device__ __forceinline__ int RowComponent(int lane, int i) {
  return (lane + i / kWidth * kWarpSize) * kWidth + i % kWidth;
}

// The lane's share of row[head_dim], as f32; 0 beyond head_dim. REQUIRES: kWidth divides head_dim
// and the row is aligned to as many elements; head_dim <= kMaxHeadDim.
template <int kWidth, typename T>
__device__ __forceinline__ void LoadRowPart(const T* row, int head_dim, int lane,
                                            float (&values)[kRowValues]) {
#pragma unroll
  for (int i = 0; i < kRowValues; i += kWidth) {
    const int component = RowComponent<kWidth>(lane, i);
    Pack<T, kWidth> pack = {};
    if (component < head_dim) pack = *reinterpret_cast<const Pack<T, kWidth>*>(row + component);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values[i + k] = ToFloat(pack.values[k]);
  }
}

// The sum of squares over the whole row, in every lane.
__device__ __forceinline__ float SumOfSquares(const float (&values)[kRowValues]) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kRowValues; ++i) sum += values[i] * values[i];
  return WarpSum(sum);
}

// Whether LoadRowPart may read the rows of [num_heads, num_rows, head_dim] kRowWidth at a time.
inline bool RowsAreWide(const ConstTensorView& view) {
  return view.dim(2) % kRowWidth == 0 && view.stride(0) % kRowWidth == 0 &&
         view.stride(1) % kRowWidth == 0 &&
         IsAligned(view.data(), kRowWidth * DTypeBytes(view.dtype()));
}

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_ROW_PART_CUH_
