// AVX-512 with the instruction that adds two products of bf16 to a float.
#include "backend/cpu/simd_avx512.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"
#include "backend/cpu/round_to_pairs-inl.h"

namespace fastkv::cpu {
namespace {

struct Pairs {
  static FASTKV_INLINE __m512 AddProducts(__m512 sum, uint32_t a, __m512i b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a))),
                            reinterpret_cast<__m512bh>(b));
  }
  static FASTKV_INLINE __m512i Round(__m512 first, __m512 second) {
    return RoundToPairs(first, second);
  }
};

}  // namespace

const Kernels kAvx512Bf16Kernels =
    MakePairKernels<VectorProducts<Pairs>>(CpuLevel::kAvx512Bf16, MultiplyPairs<Pairs>);

}  // namespace fastkv::cpu
