// Matrix products of our own: few rows at memory bandwidth, and any shape at all.
#ifndef FASTKV_BACKEND_CUDA_MAT_MUL_H_
#define FASTKV_BACKEND_CUDA_MAT_MUL_H_

#include <cstdint>

#include "backend/cuda/context.h"

namespace fastkv::cuda {

// A product whose weight, [out_features, in_features] and packed, is a plain view.
struct MatMulArguments {
  ConstTensorView x;       // [num_tokens, in_features], of the context's type
  ConstTensorView weight;  // [out_features, in_features], of the context's type
  ConstTensorView bias;    // [out_features], f32, or empty
  TensorView out;          // [num_tokens, out_features], the context's type or f32
  bool accumulate = false;
};

// The most rows of x that MatVec takes.
inline constexpr int64_t kMaxMatVecRows = 64;
// Tensor cores, each weight read once, no library. A row's result is the same bits whatever the
// other rows are and however many there are. REQUIRES: MatVecFits.
bool MatVecFits(const Context& context, const MatMulArguments& arguments);
void MatVec(const Context& context, const MatMulArguments& arguments);

// Any shape and alignment; slow.
void PlainMatMul(const Context& context, const MatMulArguments& arguments);

// out = x + bias by row, rounded to bfloat16. x is packed, [num_tokens, out_features], f32.
void AddBiasAndRound(const Context& context, const ConstTensorView& x, const ConstTensorView& bias,
                     const TensorView& out);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_MAT_MUL_H_
