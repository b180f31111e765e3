// Packing for the instructions that multiply pairs of bf16, and the products in vector registers,
// written over the vocabulary `Simd` of the including translation unit. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_

#include <cstdint>
#include <cstring>

#include "backend/cpu/gemm_kernels-inl.h"

namespace fastkv::cpu {
namespace {

FASTKV_INLINE uint32_t BF16Bits(BFloat16 x) { return x.bits; }
// Integers of 8 bits are bf16 as they are.
FASTKV_INLINE uint32_t BF16Bits(int8_t x) { return BitsOf(ScalarToFloat(x)) >> 16; }
FASTKV_INLINE Simd::I LoadPairs(const BFloat16* p) { return Simd::LoadWords(p); }
// A template, since only AVX-512's vocabulary has it.
template <typename Vocabulary = Simd>
FASTKV_INLINE Simd::I LoadPairs(const int8_t* p) {
  return Vocabulary::LoadInt8AsBF16Pairs(p);
}

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

// What a level without such instructions multiplies pairs with: float32. Slower than float32
// panels; it lets everything that is built on pairs run, and be tested, anywhere.
struct FloatPairs {
  static FASTKV_INLINE Simd::F AddProducts(Simd::F sum, uint32_t a, Simd::I b) {
    const uint32_t halves[2] = {a << 16, a & 0xffff0000u};
    float x[2];
    std::memcpy(x, halves, sizeof(x));
    sum = Simd::Fma(Simd::Set(x[0]), Simd::FirstOfPair(b), sum);
    return Simd::Fma(Simd::Set(x[1]), Simd::SecondOfPair(b), sum);
  }
  static FASTKV_INLINE Simd::I Round(Simd::F first, Simd::F second) {
    return Simd::RoundToPairs(first, second);
  }
};

// kRows rows by one panel, all of depth. Pairs::AddProducts(sum, a, b) adds to each lane of `sum`
// the two products of the pair `a` with the lane's pair of `b`.
template <typename Pairs, int kRows>
FASTKV_INLINE void PairTile(const GemmPairsArgs& args, int64_t row, int64_t panel) {
  const uint16_t* a = args.a + row * args.a_stride;
  const uint32_t* b = args.b_panels + panel * args.b_panel_stride;
  float* c = args.c + row * args.c_stride + panel * kPanelWidth;
  Simd::F sums[kRows][Simd::kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      sums[r][v] = args.accumulate ? Simd::Load(c + r * args.c_stride + v * kLanes) : Simd::Zero();
    }
  }
#pragma GCC unroll 2
  for (int64_t pair = 0; pair < args.depth / 2; ++pair) {
    Simd::I columns[Simd::kPanelVectors];
#pragma GCC unroll 2
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      columns[v] = Simd::LoadWords(b + pair * kPanelWidth + v * kLanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      uint32_t x;
      std::memcpy(&x, a + r * args.a_stride + 2 * pair, sizeof(x));
#pragma GCC unroll 2
      for (int v = 0; v < Simd::kPanelVectors; ++v) {
        sums[r][v] = Pairs::AddProducts(sums[r][v], x, columns[v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      Simd::Store(c + r * args.c_stride + v * kLanes, sums[r][v]);
    }
  }
}

template <typename Pairs>
void MultiplyPairs(const GemmPairsArgs& args) {
  for (int64_t panel = 0; panel < args.num_panels; ++panel) {
    int64_t row = 0;
    for (; row + Simd::kRowTile <= args.num_rows; row += Simd::kRowTile) {
      PairTile<Pairs, Simd::kRowTile>(args, row, panel);
    }
    for (; row + 4 <= args.num_rows; row += 4) PairTile<Pairs, 4>(args, row, panel);
    for (; row < args.num_rows; ++row) PairTile<Pairs, 1>(args, row, panel);
  }
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_PAIR_KERNELS_INL_H_
