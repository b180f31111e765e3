// Matrix-vector products, written over the vocabulary `Simd` of the including translation unit: the
// weight streams through once, row by row, as it is stored. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/gemm_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr int64_t kMatVecStep = 2 * kLanes;

// Elements [k, k + kMatVecStep) of a row of w as two vectors: the first and second half, but for
// bf16 the even and the odd elements, which cost one instruction each. PrepareInput puts x alike.
template <typename T>
FASTKV_INLINE void LoadStep(const T* w, int64_t k, Simd::F step[2]) {
  step[0] = LoadFloats(w + k);
  step[1] = LoadFloats(w + k + kLanes);
}
template <>
FASTKV_INLINE void LoadStep<BFloat16>(const BFloat16* w, int64_t k, Simd::F step[2]) {
  const Simd::I words = Simd::LoadWords(w + k);
  step[0] = Simd::FirstOfPair(words);
  step[1] = Simd::SecondOfPair(words);
}

template <typename T>
void PrepareInputOf(const T* x, DType w_type, int64_t depth, float* out) {
  int64_t k = 0;
  if (w_type == DType::kBF16) {
    for (; k + kMatVecStep <= depth; k += kMatVecStep) {
      for (int64_t i = 0; i < kLanes; ++i) {
        out[k + i] = ScalarToFloat(x[k + 2 * i]);
        out[k + kLanes + i] = ScalarToFloat(x[k + 2 * i + 1]);
      }
    }
  }
  for (; k < depth; ++k) out[k] = ScalarToFloat(x[k]);
}

// kOutputs rows of w with kRows of x. Every output is two vectors of sums, whatever the two counts,
// so that a row's result does not depend on how many others there are; several outputs at once
// give the chains that hide the latency of multiply-add.
template <typename T, int kRows, int kOutputs>
FASTKV_INLINE void MatVecTile(const MatVecArgs& args, int64_t first_row, int64_t first_output) {
  const T* w = static_cast<const T*>(args.w) + first_output * args.w_stride;
  const float* x = args.x + first_row * args.x_stride;
  Simd::F sums[kRows][kOutputs][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) sums[r][o][0] = sums[r][o][1] = Simd::Zero();
  }
  int64_t k = 0;
  for (; k + kMatVecStep <= args.depth; k += kMatVecStep) {
    Simd::F weights[kOutputs][2];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      // Rows end at page borders too often for the processor to foresee the next ones.
      Simd::Prefetch(w + (kOutputs + o) * args.w_stride + k);
      LoadStep(w + o * args.w_stride, k, weights[o]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Simd::F low = Simd::Load(x + r * args.x_stride + k);
      const Simd::F high = Simd::Load(x + r * args.x_stride + k + kLanes);
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) {
        sums[r][o][0] = Simd::Fma(low, weights[o][0], sums[r][o][0]);
        sums[r][o][1] = Simd::Fma(high, weights[o][1], sums[r][o][1]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOutputs; ++o) {
      float sum = Simd::ReduceAdd(Simd::Add(sums[r][o][0], sums[r][o][1]));
      for (int64_t j = k; j < args.depth; ++j) {
        sum = Simd::Fma(x[r * args.x_stride + j], ScalarToFloat(w[o * args.w_stride + j]), sum);
      }
      args.out[(first_row + r) * args.out_stride + first_output + o] = sum;
    }
  }
}

template <typename T, int kRows>
void MatVecRows(const MatVecArgs& args, int64_t first_row) {
  constexpr int kOutputs = 4 / kRows;
  int64_t output = 0;
  for (; output + kOutputs <= args.num_outputs; output += kOutputs) {
    MatVecTile<T, kRows, kOutputs>(args, first_row, output);
  }
  for (; output < args.num_outputs; ++output) MatVecTile<T, kRows, 1>(args, first_row, output);
}

template <typename T>
void MatVecOf(const MatVecArgs& args) {
  int64_t row = 0;
  for (; row + 4 <= args.num_rows; row += 4) MatVecRows<T, 4>(args, row);
  for (; row + 2 <= args.num_rows; row += 2) MatVecRows<T, 2>(args, row);
  if (row < args.num_rows) MatVecRows<T, 1>(args, row);
}

void PrepareInput(const void* x, DType type, DType w_type, int64_t depth, float* out) {
  WithType(x, type, [&](const auto* data) { PrepareInputOf(data, w_type, depth, out); });
}

void MatVec(const MatVecArgs& args) {
  if (args.w_type == DType::kF32) {
    MatVecOf<float>(args);
  } else if (args.w_type == DType::kBF16) {
    MatVecOf<BFloat16>(args);
  } else {
    MatVecOf<Float16>(args);
  }
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_
