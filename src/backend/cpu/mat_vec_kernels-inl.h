// Products of few rows with a weight, written over the vocabulary `Simd` of the including
// translation unit: the weight streams through once, as it is stored. See kernels.h.
//
// The outputs are cut into kStreams runs that are read side by side, each from its beginning to its
// end. Memory then delivers faster than to one run (a processor's core follows several sequences at
// once), and, unlike neighbouring rows read side by side, each run crosses page after page in
// order, which the hardware foresees. Still it pays to ask for the eighth line ahead, but for
// float32, whose lines go by the fastest (Zen 3: 6 to 20 %). Where a block of columns passes over
// several rows, what comes next has to be said.
#ifndef FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_MAT_VEC_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/gemm_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr int kStreams = 4;
// Rows of x beside an output of each stream: as many sums as fit into registers.
constexpr int kRowGroup = Simd::kRowTile * Simd::kPanelVectors >= 4 * kStreams ? 4 : 2;
// Outputs of a stream that share what the first-level cache holds of x, where that is not all.
constexpr int64_t kChunk = 8;
// Of a row of weights, there: `kDepthBlock` columns of a format, `kBlockBytes` bytes.
constexpr int64_t kDepthBlockBytes = 1024;
constexpr int64_t kMatVecStep = 2 * kLanes;

// One of the two vectors that kMatVecStep elements of a row of w make: the first and the second
// half, but for bf16 the even and the odd elements, which cost one instruction each. PrepareInput
// puts x alike.
template <typename T>
FASTKV_INLINE Simd::F LoadHalf(const T* w, int half) {
  return LoadFloats(w + half * kLanes);
}
template <>
FASTKV_INLINE Simd::F LoadHalf<BFloat16>(const BFloat16* w, int half) {
  const Simd::I words = Simd::LoadWords(w);
  return half == 0 ? Simd::FirstOfPair(words) : Simd::SecondOfPair(words);
}

// For weights in bf16: the even, then the odd elements of each step.
FASTKV_INLINE void StoreSplit(const float* x, float* out) {
  const Simd::F low = Simd::Load(x);
  const Simd::F high = Simd::Load(x + kLanes);
  Simd::Store(out, Simd::Evens(low, high));
  Simd::Store(out + kLanes, Simd::Odds(low, high));
}
FASTKV_INLINE void StoreSplit(const BFloat16* x, float* out) {
  Simd::Store(out, LoadHalf(x, 0));
  Simd::Store(out + kLanes, LoadHalf(x, 1));
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

// Columns [begin, end) of the product of kRows rows of x with kOutputs rows of w.
struct MatVecTile {
  int64_t row = 0;     // the first of x
  int64_t output = 0;  // the first of w
  int64_t step = 0;    // from one row of w to the next
  int64_t begin = 0, end = 0;
  float* partial = nullptr;  // sums between two ranges of columns, a vector each
  int64_t ahead_bytes = 0;   // from the rows of w to those that are read next
};

template <int kRows, int kOutputs>
FASTKV_INLINE void LoadSums(const MatVecTile& tile, Simd::F sums[kRows][kOutputs]) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      sums[r][o] =
          tile.begin == 0 ? Simd::Zero() : Simd::Load(tile.partial + (r * kOutputs + o) * kLanes);
    }
  }
}

template <int kRows, int kOutputs>
FASTKV_INLINE void StorePartialSums(const MatVecTile& tile, const Simd::F sums[kRows][kOutputs]) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      Simd::Store(tile.partial + (r * kOutputs + o) * kLanes, sums[r][o]);
    }
  }
}

// `kOverRows`: what comes next is a block of columns in another row, not further on in this one.
template <bool kOverRows>
FASTKV_INLINE void PrefetchAhead(const void* w, const MatVecTile& tile) {
  constexpr int64_t kStreamAheadBytes = 512;
  Simd::Prefetch(static_cast<const char*>(w) + (kOverRows ? tile.ahead_bytes : kStreamAheadBytes));
}

template <typename T>
struct StoredElements {
  static constexpr int64_t kBlockBytes = kDepthBlockBytes;
  static constexpr int64_t kDepthBlock = kBlockBytes / int64_t{sizeof(T)};

  // Every output is one vector of sums and a scalar tail, so that no result depends on how many
  // others are computed along with it.
  template <int kRows, int kOutputs, bool kOverRows>
  static FASTKV_INLINE void Multiply(const MatVecArgs& args, const MatVecTile& tile) {
    const int64_t w_stride = args.w_row_bytes / int64_t{sizeof(T)};
    const T* w[kOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      w[o] = static_cast<const T*>(args.w) + (tile.output + o * tile.step) * w_stride;
    }
    const float* x = args.x + tile.row * args.x_stride;
    Simd::F sums[kRows][kOutputs];
    LoadSums<kRows, kOutputs>(tile, sums);
    int64_t k = tile.begin;
    for (; k + kMatVecStep <= tile.end; k += kMatVecStep) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        Simd::F inputs[kRows];
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          inputs[r] = Simd::Load(x + r * args.x_stride + k + half * kLanes);
        }
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) {
          if (half == 0 && (kOverRows || sizeof(T) < sizeof(float))) {
            PrefetchAhead<kOverRows>(w[o] + k, tile);
          }
          const Simd::F weights = Simd::InRegister(LoadHalf(w[o] + k, half));
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) sums[r][o] = Simd::Fma(inputs[r], weights, sums[r][o]);
        }
      }
    }
    if (tile.end < args.depth) return StorePartialSums<kRows, kOutputs>(tile, sums);
    for (int r = 0; r < kRows; ++r) {
      for (int o = 0; o < kOutputs; ++o) {
        float sum = Simd::ReduceAdd(sums[r][o]);
        for (int64_t j = k; j < args.depth; ++j) {
          sum = Simd::Fma(x[r * args.x_stride + j], ScalarToFloat(w[o][j]), sum);
        }
        args.out[(tile.row + r) * args.out_stride + tile.output + o * tile.step] = sum;
      }
    }
  }
};

// All rows of x.
template <typename Format>
FASTKV_INLINE void MultiplyRows(const MatVecArgs& args, MatVecTile tile) {
  const auto next = [&](int64_t num_rows) {
    tile.row += num_rows;
    tile.partial += num_rows * kStreams * kLanes;
  };
  if (args.num_rows > 2 && args.num_rows >= kRowGroup) {
    Format::template Multiply<kRowGroup, kStreams, true>(args, tile);
    next(kRowGroup);
  } else if (args.num_rows > 2) {
    Format::template Multiply<2, kStreams, true>(args, tile);
    next(2);
  }
  for (; tile.row + kRowGroup <= args.num_rows; next(kRowGroup)) {
    Format::template Multiply<kRowGroup, kStreams, false>(args, tile);
  }
  if (kRowGroup > 2 && tile.row + 2 <= args.num_rows) {
    Format::template Multiply<2, kStreams, false>(args, tile);
    next(2);
  }
  if (tile.row < args.num_rows) Format::template Multiply<1, kStreams, false>(args, tile);
}

// Outputs [first, first + count) of kStreams streams that lie `step` apart. With more than two rows
// x outgrows the first-level cache, so a block of its columns passes over a chunk of outputs.
template <typename Format>
void MultiplyStreams(const MatVecArgs& args, int64_t first, int64_t count, int64_t step) {
  float partial[kChunk * kStreams * kMatVecRows * kLanes];
  const int64_t block = args.num_rows > 2 ? Format::kDepthBlock : args.depth;
  for (int64_t chunk = 0; chunk < count; chunk += kChunk) {
    const int64_t chunk_end = Min(count, chunk + kChunk);
    int64_t begin = 0;
    do {
      for (int64_t j = chunk; j < chunk_end; ++j) {
        MultiplyRows<Format>(
            args, {.output = first + j,
                   .step = step,
                   .begin = begin,
                   .end = Min(args.depth, begin + block),
                   .partial = partial + (j - chunk) * kStreams * kMatVecRows * kLanes,
                   .ahead_bytes =
                       j + 1 < chunk_end
                           ? args.w_row_bytes
                           : Format::kBlockBytes - (chunk_end - 1 - chunk) * args.w_row_bytes});
      }
      begin += block;
    } while (begin < args.depth);
  }
}

template <typename Format>
void MatVecOf(const MatVecArgs& args) {
  const int64_t step = args.num_outputs / kStreams;
  MultiplyStreams<Format>(args, 0, step, step);
  if (step * kStreams == args.num_outputs) return;
  // The last ones stand side by side, and some of them once more: a variant for single outputs
  // would double what is compiled.
  if (step > 0) {
    MultiplyStreams<Format>(args, args.num_outputs - kStreams, 1, 1);
  } else {
    MultiplyStreams<Format>(args, 0, args.num_outputs, 0);
  }
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
