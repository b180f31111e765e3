// The two ways to multiply with a weight, for MatMul (matmul.cc). Both take what MatMul takes.
#ifndef FASTKV_BACKEND_CPU_PRODUCTS_H_
#define FASTKV_BACKEND_CPU_PRODUCTS_H_

#include <cstdint>

#include "backend/cpu/context.h"
#include "backend/cpu/cpu_weight.h"
#include "backend/ops.h"

namespace fastkv::cpu {

// Many rows of x: tiles of the result, through packed panels of the weight.
void MultiplyLong(const Context& context, const MatMulParams& params, const CpuWeight& weight);
// Up to kMatVecRows rows of x: straight from the rows of the weight.
void MultiplyShort(const Context& context, const MatMulParams& params, const CpuWeight& weight);

// Sums of one row of x with rows [first, first + count) of a part of the weight, to
// out[row, part.begin + first ...]: multiplies by the rows' scales, adds the bias and, where
// `accumulate` asks for it, what is there. Overwrites the sums.
void StoreSums(const MatMulParams& params, const CpuWeight::Part& part, int64_t row, int64_t first,
               int64_t count, float* sums);

// Element (row, column) of a matrix.
inline const void* ElementAt(const ConstTensorView& view, int64_t row, int64_t column) {
  return static_cast<const char*>(view.data()) +
         (row * view.stride(0) + column) * DTypeBytes(view.dtype());
}

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_PRODUCTS_H_
