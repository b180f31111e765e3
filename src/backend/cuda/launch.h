// Sizes of launches.
#ifndef FASTKV_BACKEND_CUDA_LAUNCH_H_
#define FASTKV_BACKEND_CUDA_LAUNCH_H_

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "base/checked_math.h"

namespace fastkv::cuda {

// A count as a grid's x dimension.
inline unsigned GridX(int64_t count) {
  FASTKV_CHECK_LE(count, INT32_MAX);
  return static_cast<unsigned>(count);
}

// Blocks for a loop over `count` items that strides by the whole grid.
inline unsigned GridFor(int64_t count, int64_t items_per_block, int num_multiprocessors) {
  constexpr int64_t kBlocksPerMultiprocessor = 16;
  return GridX(
      std::min(CeilDivide(count, items_per_block), kBlocksPerMultiprocessor * num_multiprocessors));
}

inline bool IsAligned(const void* data, int64_t num_bytes) {
  return reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(num_bytes) == 0;
}

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_LAUNCH_H_
