// Packing of bf16 weights for the instructions that multiply pairs of bf16, written over the
// vocabulary `Simd` of AVX-512. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/gemm_kernels-inl.h"

namespace fastkv::cpu {
namespace {

FASTKV_INLINE uint32_t PairAt(const BFloat16* row, int64_t k, int64_t depth) {
  const uint32_t first = k < depth ? row[k].bits : 0u;
  const uint32_t second = k + 1 < depth ? row[k + 1].bits : 0u;
  return first | second << 16;
}

void PackPairs(const void* w, int64_t stride, int64_t num_columns, int64_t depth,
               uint32_t* panels) {
  const int64_t num_pairs = (depth + kPairDepth - 1) / kPairDepth * kPairDepth / 2;
  for (int64_t panel = 0; panel * kPanelWidth < num_columns; ++panel) {
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      const BFloat16* rows[kLanes];
      RowPointers(static_cast<const BFloat16*>(w), stride, panel * kPanelWidth + v * kLanes,
                  num_columns, rows);
      uint32_t* out = panels + panel * kPanelWidth * num_pairs + v * kLanes;
      int64_t pair = 0;
      for (; 2 * (pair + kLanes) <= depth; pair += kLanes) {
        const void* from[kLanes];
        for (int i = 0; i < kLanes; ++i) from[i] = rows[i] + 2 * pair;
        Simd::I words[kLanes];
        Simd::LoadTransposed(from, words);
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

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_
