// Rounding to bf16 by the instruction of AVX-512-BF16; to be included where that is compiled for.
#ifndef FASTKV_BACKEND_CPU_ROUND_TO_PAIRS_INL_H_
#define FASTKV_BACKEND_CPU_ROUND_TO_PAIRS_INL_H_

#include "backend/cpu/simd_avx512.h"

namespace fastkv::cpu {
namespace {

// Words of two bf16, to nearest, ties to even: `first` in the lower halves, `second` in the upper.
FASTKV_INLINE __m512i RoundToPairs(__m512 first, __m512 second) {
  // The instruction puts all of one register before all of the other.
  const __m512i interleaved =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(interleaved,
                                  reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first)));
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_ROUND_TO_PAIRS_INL_H_
