// Packing of weights for the instructions that multiply pairs of bf16, written over the vocabulary
// `Simd` of AVX-512. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/kernel_table-inl.h"

namespace fastkv::cpu {
namespace {

FASTKV_INLINE uint32_t BF16Bits(BFloat16 x) { return x.bits; }
// Integers of 8 bits are bf16 as they are.
FASTKV_INLINE uint32_t BF16Bits(int8_t x) { return BitsOf(ScalarToFloat(x)) >> 16; }
FASTKV_INLINE Simd::I LoadPairs(const BFloat16* p) { return Simd::LoadWords(p); }
FASTKV_INLINE Simd::I LoadPairs(const int8_t* p) { return Simd::LoadInt8AsBF16Pairs(p); }

template <typename T>
FASTKV_INLINE uint32_t PairAt(const T* row, int64_t k, int64_t depth) {
  const uint32_t first = k < depth ? BF16Bits(row[k]) : 0u;
  const uint32_t second = k + 1 < depth ? BF16Bits(row[k + 1]) : 0u;
  return first | second << 16;
}

template <typename T>
void PackPairs(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
               uint32_t* panels) {
  const int64_t num_pairs = PaddedTo(kPairDepth, depth) / 2;
  for (int64_t panel = 0; panel * kPanelWidth < num_columns; ++panel) {
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      const T* rows[kLanes];
      RowPointers(static_cast<const T*>(w), row_bytes / int64_t{sizeof(T)},
                  panel * kPanelWidth + v * kLanes, num_columns, rows);
      uint32_t* out = panels + panel * kPanelWidth * num_pairs + v * kLanes;
      int64_t pair = 0;
      for (; 2 * (pair + kLanes) <= depth; pair += kLanes) {
        Simd::I words[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) words[i] = LoadPairs(rows[i] + 2 * pair);
        Simd::Transpose(words);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) Simd::StoreWords(out + (pair + i) * kPanelWidth, words[i]);
      }
      for (; pair < num_pairs; ++pair) {
        for (int i = 0; i < kLanes; ++i) {
          out[pair * kPanelWidth + i] = PairAt(rows[i], 2 * pair, depth);
        }
      }
    }
  }
}

// The table of a level that multiplies pairs of bf16 with `gemm_pairs`.
constexpr Kernels MakePairKernels(CpuLevel level, void (*gemm_pairs)(const GemmPairsArgs&)) {
  Kernels kernels = MakeKernels(level);
  kernels.weights[static_cast<int>(WeightFormat::kBF16)].pack_pairs = PackPairs<BFloat16>;
  kernels.weights[static_cast<int>(WeightFormat::kInt8)].pack_pairs = PackPairs<int8_t>;
  kernels.gemm_pairs = gemm_pairs;
  return kernels;
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_
