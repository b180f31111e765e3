// The last step of sums that blocks share out: adding what they found, in order.
#ifndef FASTKV_BACKEND_CUDA_ADD_PARTS_H_
#define FASTKV_BACKEND_CUDA_ADD_PARTS_H_

#include <cstdint>

#include "backend/cuda/context.h"

namespace fastkv::cuda {

// `num_parts` >= 1 matrices [num_rows, num_columns], packed, one behind the other.
struct Parts {
  const float* data;
  int num_parts;
  int64_t num_rows;
  int64_t num_columns;
};

// out[row, column] += the sum over the parts, in ascending order; `out_stride` from row to row.
void AddParts(const Context& context, const Parts& parts, float* out, int64_t out_stride);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_ADD_PARTS_H_
