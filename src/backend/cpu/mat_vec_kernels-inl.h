// Products of few rows with a weight, written over the vocabulary `Simd` of the including
// translation unit: the weight streams through once, as it is stored. See kernels.h.
//
// The outputs are cut into kStreams runs that are read side by side, each from its beginning to its
// end. Memory then delivers faster than to one run (a processor's core follows several sequences at
// once), and, unlike neighbouring rows read side by side, each run crosses page after page in
// order, which the hardware foresees: prefetching by hand made every form slower (Zen 3).
#ifndef FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/gemm_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr int kStreams = 4;
// Sums that stay in registers, enough chains to hide the latency of multiply-add.
constexpr int kMatVecSums = Simd::kRowTile * Simd::kPanelVectors >= 24 ? 16 : 8;
constexpr int64_t kMatVecStep = 2 * kLanes;

// Elements [k, k + kMatVecStep) of a row of w as two vectors: the first and second half, but for
// bf16 the even and the odd elements, which cost one instruction each. PrepareInput puts x alike.
template <typename T>
FASTKV_INLINE void LoadStep(const T* w, Simd::F step[2]) {
  step[0] = LoadFloats(w);
  step[1] = LoadFloats(w + kLanes);
}
template <>
FASTKV_INLINE void LoadStep<BFloat16>(const BFloat16* w, Simd::F step[2]) {
  const Simd::I words = Simd::LoadWords(w);
  step[0] = Simd::FirstOfPair(words);
  step[1] = Simd::SecondOfPair(words);
}

// For weights in bf16: the even, then the odd elements of each step.
FASTKV_INLINE void StoreSplit(const float* x, float* out) {
  const Simd::F low = Simd::Load(x);
  const Simd::F high = Simd::Load(x + kLanes);
  Simd::Store(out, Simd::Evens(low, high));
  Simd::Store(out + kLanes, Simd::Odds(low, high));
}
FASTKV_INLINE void StoreSplit(const BFloat16* x, float* out) {
  Simd::F step[2];
  LoadStep(x, step);
  Simd::Store(out, step[0]);
  Simd::Store(out + kLanes, step[1]);
}

template <typename W, typename X>
void PrepareInputOf(const X* x, int64_t depth, float* out) {
  int64_t k = 0;
  if constexpr (__is_same(W, BFloat16)) {
    for (; k + kMatVecStep <= depth; k += kMatVecStep) StoreSplit(x + k, out + k);
  } else {
    for (; k + kLanes <= depth; k += kLanes) Simd::Store(out + k, LoadFloats(x + k));
  }
  for (; k < depth; ++k) out[k] = ScalarToFloat(x[k]);
}

// A product's part: rows of x by rows of w that lie `step` apart. Every output is one vector of
// sums and a scalar tail, so that no result depends on how many others are computed along with it.
template <typename T, int kRows, int kOutputs>
FASTKV_INLINE void MatVecTile(const MatVecArgs& args, int64_t first_row, int64_t first_output,
                              int64_t step) {
  const int64_t w_stride = args.w_row_bytes / int64_t{sizeof(T)};
  const T* w[kOutputs];
#pragma GCC unroll 4
  for (int o = 0; o < kOutputs; ++o) {
    w[o] = static_cast<const T*>(args.w) + (first_output + o * step) * w_stride;
  }
  const float* x = args.x + first_row * args.x_stride;
  Simd::F sums[kRows][kOutputs];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) sums[r][o] = Simd::Zero();
  }
  int64_t k = 0;
  for (; k + kMatVecStep <= args.depth; k += kMatVecStep) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      Simd::F weights[2];
      LoadStep(w[o] + k, weights);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const float* at = x + r * args.x_stride + k;
        sums[r][o] = Simd::Fma(Simd::Load(at), weights[0], sums[r][o]);
        sums[r][o] = Simd::Fma(Simd::Load(at + kLanes), weights[1], sums[r][o]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOutputs; ++o) {
      float sum = Simd::ReduceAdd(sums[r][o]);
      for (int64_t j = k; j < args.depth; ++j) {
        sum = Simd::Fma(x[r * args.x_stride + j], ScalarToFloat(w[o][j]), sum);
      }
      args.out[(first_row + r) * args.out_stride + first_output + o * step] = sum;
    }
  }
}

// A format's tile as a type, for the loops below.
template <typename T>
struct StoredElements {
  template <int kRows, int kOutputs>
  static FASTKV_INLINE void Tile(const MatVecArgs& args, int64_t first_row, int64_t first_output,
                                 int64_t step) {
    MatVecTile<T, kRows, kOutputs>(args, first_row, first_output, step);
  }
};

// All rows of x by kOutputs rows of w: while these are still in the first-level cache.
template <typename Format, int kOutputs>
FASTKV_INLINE void MatVecRows(const MatVecArgs& args, int64_t first_output, int64_t step) {
  int64_t row = 0;
  for (; row + 4 <= args.num_rows; row += 4) {
    Format::template Tile<4, kOutputs>(args, row, first_output, step);
  }
  for (; row + 2 <= args.num_rows; row += 2) {
    Format::template Tile<2, kOutputs>(args, row, first_output, step);
  }
  if (row < args.num_rows) Format::template Tile<1, kOutputs>(args, row, first_output, step);
}

template <typename Format>
void MatVecOf(const MatVecArgs& args) {
  constexpr int kFewOutputs = kMatVecSums / 4;  // beside four rows of x
  const int64_t step = args.num_outputs / kStreams;
  for (int64_t j = 0; j < step; ++j) {
    if (args.num_rows == 1) {
      Format::template Tile<1, kStreams>(args, 0, j, step);
    } else if (args.num_rows == 2) {
      Format::template Tile<2, kStreams>(args, 0, j, step);
    } else {
      for (int stream = 0; stream < kStreams; stream += kFewOutputs) {
        MatVecRows<Format, kFewOutputs>(args, j + stream * step, step);
      }
    }
  }
  for (int64_t j = step * kStreams; j < args.num_outputs; ++j) MatVecRows<Format, 1>(args, j, 0);
}

template <typename W>
void PrepareInput(const void* x, DType type, int64_t depth, float* out) {
  if (type == DType::kF32) {
    PrepareInputOf<W>(static_cast<const float*>(x), depth, out);
  } else {
    PrepareInputOf<W>(static_cast<const BFloat16*>(x), depth, out);
  }
}

template <typename T>
constexpr WeightKernels StoredWeightKernels() {
  return {.prepare_input = PrepareInput<T>,
          .mat_vec = MatVecOf<StoredElements<T>>,
          .pack_transposed = PackTransposedRows<T>};
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_
