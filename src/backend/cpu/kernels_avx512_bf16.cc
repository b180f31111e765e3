// AVX-512 with the instruction that adds two products of bf16 to a float.
#include "backend/cpu/simd_avx512.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"
#include "backend/cpu/pair_kernels-inl.h"

namespace fastkv::cpu {
namespace {

FASTKV_INLINE __m512 AddProducts(__m512 sum, uint32_t a, __m512i b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a))),
                          reinterpret_cast<__m512bh>(b));
}

template <int kRows>
FASTKV_INLINE void PairTile(const GemmPairsArgs& args, int64_t row, int64_t panel) {
  const uint16_t* a = args.a + row * args.a_stride;
  const uint32_t* b = args.b_panels + panel * args.b_panel_stride;
  float* c = args.c + row * args.c_stride + panel * kPanelWidth;
  __m512 sums[kRows][Simd::kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      sums[r][v] = args.accumulate ? Simd::Load(c + r * args.c_stride + v * kLanes) : Simd::Zero();
    }
  }
#pragma GCC unroll 2
  for (int64_t pair = 0; pair < args.depth / 2; ++pair) {
    const __m512i low = Simd::LoadWords(b + pair * kPanelWidth);
    const __m512i high = Simd::LoadWords(b + pair * kPanelWidth + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      uint32_t x;
      std::memcpy(&x, a + r * args.a_stride + 2 * pair, sizeof(x));
      sums[r][0] = AddProducts(sums[r][0], x, low);
      sums[r][1] = AddProducts(sums[r][1], x, high);
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

void GemmPairs(const GemmPairsArgs& args) {
  for (int64_t panel = 0; panel < args.num_panels; ++panel) {
    int64_t row = 0;
    for (; row + Simd::kRowTile <= args.num_rows; row += Simd::kRowTile) {
      PairTile<Simd::kRowTile>(args, row, panel);
    }
    for (; row + 4 <= args.num_rows; row += 4) PairTile<4>(args, row, panel);
    for (; row < args.num_rows; ++row) PairTile<1>(args, row, panel);
  }
}

}  // namespace

const Kernels kAvx512Bf16Kernels = MakePairKernels(CpuLevel::kAvx512Bf16, GemmPairs);

}  // namespace fastkv::cpu
