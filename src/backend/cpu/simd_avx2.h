// The vector vocabulary of the hot kernels for AVX2 with FMA and F16C; the same names stand in
// simd_avx512.h and simd_generic.h. To be included inside a translation unit compiled for the level
// only. Everything is forced inline in an unnamed namespace, so that no code of this level can be
// merged by the linker into a program that runs on lesser processors.
#ifndef FASTKV_BACKEND_CPU_SIMD_AVX2_H_
#define FASTKV_BACKEND_CPU_SIMD_AVX2_H_

#include <immintrin.h>

#include <cstdint>

#define FASTKV_INLINE inline __attribute__((always_inline))

namespace fastkv::cpu {
namespace {

struct Simd {
  using F = __m256;   // floats
  using I = __m256i;  // 32-bit integers
  static constexpr int kLanes = 8;
  static constexpr int kRowTile = 6;       // 6 x 2 accumulators, 2 columns, 1 broadcast: 15 of 16
  static constexpr int kPanelVectors = 2;  // registers, and 12 chains hide the latency of FMA

  static FASTKV_INLINE F Zero() { return _mm256_setzero_ps(); }
  static FASTKV_INLINE F Set(float x) { return _mm256_set1_ps(x); }
  static FASTKV_INLINE F Load(const float* p) { return _mm256_loadu_ps(p); }
  static FASTKV_INLINE void Store(float* p, F x) { _mm256_storeu_ps(p, x); }
  // x itself; keeps the compiler from reading it from memory again at every use.
  static FASTKV_INLINE F InRegister(F x) {
    asm("" : "+x"(x));
    return x;
  }
  static FASTKV_INLINE F Add(F a, F b) { return _mm256_add_ps(a, b); }
  static FASTKV_INLINE F Sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static FASTKV_INLINE F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static FASTKV_INLINE F Max(F a, F b) { return _mm256_max_ps(a, b); }
  static FASTKV_INLINE F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static FASTKV_INLINE float Fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

  static FASTKV_INLINE F LoadBF16(const void* p) {
    const __m128i half = _mm_loadu_si128(static_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
  static FASTKV_INLINE F LoadF16(const void* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static FASTKV_INLINE F LoadInt8(const void* p) {
    return ToFloats(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
  }
  static FASTKV_INLINE I LoadWords(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static FASTKV_INLINE void StoreWords(void* p, I x) {
    _mm256_storeu_si256(static_cast<__m256i*>(p), x);
  }
  static FASTKV_INLINE I AsWords(F x) { return _mm256_castps_si256(x); }
  static FASTKV_INLINE F AsFloats(I x) { return _mm256_castsi256_ps(x); }
  // Of words that each hold two bf16: the first, and the second.
  static FASTKV_INLINE F FirstOfPair(I x) { return AsFloats(_mm256_slli_epi32(x, 16)); }
  static FASTKV_INLINE F SecondOfPair(I x) {
    return AsFloats(_mm256_and_si256(x, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static FASTKV_INLINE F ToFloats(I x) { return _mm256_cvtepi32_ps(x); }

  // Of the 2 kLanes floats in a, then b: those at even places, and at odd ones.
  static FASTKV_INLINE F Evens(F a, F b) { return JoinQuarters(_mm256_shuffle_ps(a, b, 0x88)); }
  static FASTKV_INLINE F Odds(F a, F b) { return JoinQuarters(_mm256_shuffle_ps(a, b, 0xdd)); }

  // 2 kLanes signed bytes as words that each hold two 16-bit integers.
  static FASTKV_INLINE I LoadInt8Pairs(const void* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  // Of words that each hold two 16-bit integers: sum + first * first + second * second.
  static FASTKV_INLINE I AddPairProducts(I sum, I a, I b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
  // The same of unsigned bytes; and on such integers, one by one.
  static constexpr bool kMultipliesBF16 = false;
  static FASTKV_INLINE I LoadBytePairs(const void* p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static FASTKV_INLINE I PairsAnd(I x, int mask) {
    return _mm256_and_si256(x, _mm256_set1_epi16(static_cast<int16_t>(mask)));
  }
  static FASTKV_INLINE I PairsOr(I a, I b) { return _mm256_or_si256(a, b); }
  static FASTKV_INLINE I PairsAdd(I x, int y) {
    return _mm256_add_epi16(x, _mm256_set1_epi16(static_cast<int16_t>(y)));
  }
  static FASTKV_INLINE I PairsShiftLeft(I x, int count) { return _mm256_slli_epi16(x, count); }
  static FASTKV_INLINE I PairsShiftRight(I x, int count) { return _mm256_srli_epi16(x, count); }
  // Integer i is -1 where bit i is set, else 0.
  static FASTKV_INLINE I PairsOfBits(uint32_t bits) {
    const I powers = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                       8192, 16384, static_cast<int16_t>(0x8000));
    const I all = _mm256_set1_epi16(static_cast<int16_t>(bits));
    return _mm256_cmpeq_epi16(_mm256_and_si256(all, powers), powers);
  }
  // 32 integers of 4 bits as pairs: the lower halves of 16 bytes, then the upper ones.
  static FASTKV_INLINE void LoadNibbles(const void* p, I out[2]) {
    const I bytes = LoadBytePairs(p);
    out[0] = PairsAnd(bytes, 15);
    out[1] = PairsShiftRight(bytes, 4);
  }
  // The same, each replaced by its entry of the table.
  static FASTKV_INLINE void LookUpNibbles(const void* p, const int8_t table[16], I out[2]) {
    const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(p));
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask);
    out[0] = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(entries, _mm_and_si128(bytes, mask)));
    out[1] = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(entries, high));
  }
  // Of words that each hold two 16-bit integers: the first, and the second.
  static FASTKV_INLINE F FirstInteger(I x) {
    return ToFloats(_mm256_srai_epi32(_mm256_slli_epi32(x, 16), 16));
  }
  static FASTKV_INLINE F SecondInteger(I x) { return ToFloats(_mm256_srai_epi32(x, 16)); }
  static FASTKV_INLINE float HalfToFloat(uint16_t half) { return _cvtsh_ss(half); }
  // Words of pairs of bf16 from two words of pairs: both firsts, and both seconds.
  static FASTKV_INLINE I JoinFirsts(I a, I b) {
    return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa);
  }
  static FASTKV_INLINE I JoinSeconds(I a, I b) {
    return _mm256_blend_epi16(_mm256_srli_epi32(a, 16), b, 0xaa);
  }
  // Both rounded to bf16, side by side. Not for NaN with a full mantissa.
  static FASTKV_INLINE I RoundToPairs(F first, F second) {
    return JoinSeconds(RoundedToBF16(first), RoundedToBF16(second));
  }

  // 2^n for integral n in [-126, 127].
  static FASTKV_INLINE F PowerOfTwo(F n) {
    const I biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return AsFloats(_mm256_slli_epi32(biased, 23));
  }
  static FASTKV_INLINE F Round(F x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // x where a >= b, else 0.
  static FASTKV_INLINE F IfGreaterEqual(F a, F b, F x) {
    return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ), x);
  }
  static FASTKV_INLINE F IfGreaterEqual(F a, F b, F x, F other) {
    return _mm256_blendv_ps(other, x, _mm256_cmp_ps(a, b, _CMP_GE_OQ));
  }
  static FASTKV_INLINE bool AnyGreater(F a, F b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
  }
  // The two factors of 2^x: x - floor(x), and y * 2^floor(x), which is 0 far below the normal
  // numbers and infinite above them. NaN stays NaN.
  static FASTKV_INLINE F Fraction(F x) {
    const F inside = Exponent(x);
    return _mm256_sub_ps(inside, _mm256_floor_ps(inside));
  }
  static FASTKV_INLINE F TimesPowerOfTwo(F y, F x) {
    return _mm256_mul_ps(y, PowerOfTwo(_mm256_floor_ps(Exponent(x))));
  }
  // x in lanes [begin, end), `other` elsewhere; the bounds may lie outside [0, kLanes].
  static FASTKV_INLINE F Between(int begin, int end, F x, F other) {
    const I lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const I inside = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane),
                                         _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane));
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(inside));
  }
  static FASTKV_INLINE float ReduceMax(F x) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
  }
  static FASTKV_INLINE float ReduceAdd(F x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  // Lane i: the sum of the lanes of x[i], each added up in the same order.
  static FASTKV_INLINE F SumLanes(const F x[kLanes]) {
    F quads[2];
    for (int i = 0; i < 2; ++i) {
      const F* from = x + 4 * i;
      quads[i] = _mm256_hadd_ps(_mm256_hadd_ps(from[0], from[1]), _mm256_hadd_ps(from[2], from[3]));
    }
    return _mm256_add_ps(_mm256_permute2f128_ps(quads[0], quads[1], 0x20),
                         _mm256_permute2f128_ps(quads[0], quads[1], 0x31));
  }
  static FASTKV_INLINE void Prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }

  // Turns the 8 x 8 words in r[0..8) over.
  static FASTKV_INLINE void Transpose(I r[kLanes]) {
    __m256 a[8];
    for (int i = 0; i < 8; i += 2) {
      a[i] = _mm256_unpacklo_ps(AsFloats(r[i]), AsFloats(r[i + 1]));
      a[i + 1] = _mm256_unpackhi_ps(AsFloats(r[i]), AsFloats(r[i + 1]));
    }
    __m256 b[8];
    for (int i = 0; i < 8; i += 4) {
      b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
      b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
      b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
      b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      r[i] = AsWords(_mm256_permute2f128_ps(b[i], b[i + 4], 0x20));
      r[i + 4] = AsWords(_mm256_permute2f128_ps(b[i], b[i + 4], 0x31));
    }
  }

  // The words [0, 8) of eight rows, turned over. Half rows are joined while loading, which saves
  // the shuffles between register halves.
  static FASTKV_INLINE void LoadTransposed(const void* const rows[kLanes], I columns[kLanes]) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m256 a[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const float* low = static_cast<const float*>(rows[i]) + 4 * half;
        const float* high = static_cast<const float*>(rows[i + 4]) + 4 * half;
        a[i] =
            _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
      }
      const __m256 b0 = _mm256_unpacklo_ps(a[0], a[1]);
      const __m256 b1 = _mm256_unpackhi_ps(a[0], a[1]);
      const __m256 b2 = _mm256_unpacklo_ps(a[2], a[3]);
      const __m256 b3 = _mm256_unpackhi_ps(a[2], a[3]);
      columns[4 * half] = AsWords(_mm256_shuffle_ps(b0, b2, 0x44));
      columns[4 * half + 1] = AsWords(_mm256_shuffle_ps(b0, b2, 0xee));
      columns[4 * half + 2] = AsWords(_mm256_shuffle_ps(b1, b3, 0x44));
      columns[4 * half + 3] = AsWords(_mm256_shuffle_ps(b1, b3, 0xee));
    }
  }

 private:
  // Quarters 0, 2, 1, 3 in order.
  static FASTKV_INLINE F JoinQuarters(F x) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xd8));
  }
  // x within the exponents that PowerOfTwo makes 0 and infinity of; a constant first lets NaN
  // through.
  static FASTKV_INLINE F Exponent(F x) {
    return _mm256_min_ps(_mm256_set1_ps(128.0f), _mm256_max_ps(_mm256_set1_ps(-127.0f), x));
  }
  // The upper half of each word is the float in bf16, to nearest, ties to even.
  static FASTKV_INLINE I RoundedToBF16(F x) {
    const I bits = AsWords(x);
    const I odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  }
};

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_SIMD_AVX2_H_
