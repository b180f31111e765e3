// The vector vocabulary of the hot kernels for AVX-512 (F, BW, DQ, VL); see simd_avx2.h.
#ifndef FASTKV_BACKEND_CPU_SIMD_AVX512_H_
#define FASTKV_BACKEND_CPU_SIMD_AVX512_H_

#include <immintrin.h>

#include <cstdint>

#define FASTKV_INLINE inline __attribute__((always_inline))

namespace fastkv::cpu {
namespace {

struct Simd {
  using F = __m512;
  using I = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kRowTile = 12;  // 12 x 2 accumulators and 2 columns of 32 registers
  static constexpr int kPanelVectors = 2;

  static FASTKV_INLINE F Zero() { return _mm512_setzero_ps(); }
  static FASTKV_INLINE F Set(float x) { return _mm512_set1_ps(x); }
  static FASTKV_INLINE F Load(const float* p) { return _mm512_loadu_ps(p); }
  static FASTKV_INLINE void Store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static FASTKV_INLINE F InRegister(F x) {
    asm("" : "+v"(x));
    return x;
  }
  static FASTKV_INLINE F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static FASTKV_INLINE F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static FASTKV_INLINE F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static FASTKV_INLINE F Max(F a, F b) { return _mm512_max_ps(a, b); }
  static FASTKV_INLINE F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static FASTKV_INLINE float Fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

  static FASTKV_INLINE F LoadBF16(const void* p) {
    const __m256i half = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    return AsFloats(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  static FASTKV_INLINE F LoadF16(const void* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  static FASTKV_INLINE F LoadInt8(const void* p) {
    return ToFloats(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  static FASTKV_INLINE I LoadWords(const void* p) { return _mm512_loadu_si512(p); }
  static FASTKV_INLINE void StoreWords(void* p, I x) { _mm512_storeu_si512(p, x); }
  static FASTKV_INLINE I AsWords(F x) { return _mm512_castps_si512(x); }
  static FASTKV_INLINE F AsFloats(I x) { return _mm512_castsi512_ps(x); }
  static FASTKV_INLINE F FirstOfPair(I x) { return AsFloats(_mm512_slli_epi32(x, 16)); }
  static FASTKV_INLINE F SecondOfPair(I x) {
    return AsFloats(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static FASTKV_INLINE F ToFloats(I x) { return _mm512_cvtepi32_ps(x); }

  static FASTKV_INLINE F Evens(F a, F b) {
    const I even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, even, b);
  }
  static FASTKV_INLINE F Odds(F a, F b) {
    const I odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, odd, b);
  }
  static FASTKV_INLINE I LoadInt8Pairs(const void* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  static FASTKV_INLINE I AddPairProducts(I sum, I a, I b) {
#ifdef __AVX512VNNI__
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
  }
#ifdef __AVX512BF16__
  static constexpr bool kMultipliesBF16 = true;
  // sum + the products of both bf16 of each word.
  static FASTKV_INLINE F AddBF16Products(F sum, I a, I b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
#else
  static constexpr bool kMultipliesBF16 = false;
#endif
  static FASTKV_INLINE I LoadBytePairs(const void* p) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  static FASTKV_INLINE I PairsAnd(I x, int mask) {
    return _mm512_and_si512(x, _mm512_set1_epi16(static_cast<int16_t>(mask)));
  }
  static FASTKV_INLINE I PairsOr(I a, I b) { return _mm512_or_si512(a, b); }
  static FASTKV_INLINE I PairsAdd(I x, int y) {
    return _mm512_add_epi16(x, _mm512_set1_epi16(static_cast<int16_t>(y)));
  }
  static FASTKV_INLINE I PairsShiftLeft(I x, int count) {
    return _mm512_slli_epi16(x, static_cast<unsigned>(count));
  }
  static FASTKV_INLINE I PairsShiftRight(I x, int count) {
    return _mm512_srli_epi16(x, static_cast<unsigned>(count));
  }
  static FASTKV_INLINE I PairsOfBits(uint32_t bits) { return _mm512_movm_epi16(bits); }
  static FASTKV_INLINE void LoadNibbles(const void* p, I out[1]) {
    out[0] = _mm512_cvtepu8_epi16(SplitNibbles(p));
  }
  static FASTKV_INLINE void LookUpNibbles(const void* p, const int8_t table[16], I out[1]) {
    const __m256i entries =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
    out[0] = _mm512_cvtepi8_epi16(_mm256_shuffle_epi8(entries, SplitNibbles(p)));
  }
  static FASTKV_INLINE F FirstInteger(I x) {
    return ToFloats(_mm512_srai_epi32(_mm512_slli_epi32(x, 16), 16));
  }
  static FASTKV_INLINE F SecondInteger(I x) { return ToFloats(_mm512_srai_epi32(x, 16)); }
  static FASTKV_INLINE float HalfToFloat(uint16_t half) { return _cvtsh_ss(half); }
  // 8 lanes of one number, then 8 of the other.
  static FASTKV_INLINE F SetHalves(float first, float second) {
    return _mm512_mask_blend_ps(0xff00u, Set(first), Set(second));
  }
  // 2 kLanes signed bytes as words that each hold two bf16, exactly.
  static FASTKV_INLINE I LoadInt8AsBF16Pairs(const void* p) {
    const auto half = [](const void* bytes) {
      return _mm512_cvtepi32_epi16(_mm512_srli_epi32(AsWords(LoadInt8(bytes)), 16));
    };
    return _mm512_inserti64x4(_mm512_castsi256_si512(half(p)),
                              half(static_cast<const char*>(p) + kLanes), 1);
  }
  static FASTKV_INLINE I JoinFirsts(I a, I b) {
    return _mm512_mask_blend_epi16(0xaaaaaaaau, a, _mm512_slli_epi32(b, 16));
  }
  static FASTKV_INLINE I JoinSeconds(I a, I b) {
    return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(a, 16), b);
  }
  static FASTKV_INLINE I RoundToPairs(F first, F second) {
    return JoinSeconds(RoundedToBF16(first), RoundedToBF16(second));
  }

  static FASTKV_INLINE F PowerOfTwo(F n) {
    const I biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return AsFloats(_mm512_slli_epi32(biased, 23));
  }
  static FASTKV_INLINE F Round(F x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static FASTKV_INLINE F IfGreaterEqual(F a, F b, F x) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), x);
  }
  static FASTKV_INLINE F IfGreaterEqual(F a, F b, F x, F other) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), other, x);
  }
  static FASTKV_INLINE bool AnyGreater(F a, F b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
  }
  static FASTKV_INLINE F Fraction(F x) {
    return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  static FASTKV_INLINE F TimesPowerOfTwo(F y, F x) { return _mm512_scalef_ps(y, x); }
  static FASTKV_INLINE F Between(int begin, int end, F x, F other) {
    const I lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 inside = _mm512_cmple_epi32_mask(_mm512_set1_epi32(begin), lane) &
                             _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(end), lane);
    return _mm512_mask_blend_ps(inside, other, x);
  }
  static FASTKV_INLINE float ReduceMax(F x) { return _mm512_reduce_max_ps(x); }
  static FASTKV_INLINE float ReduceAdd(F x) { return _mm512_reduce_add_ps(x); }
  static FASTKV_INLINE F SumLanes(const F x[kLanes]) {
    F quads[4];  // quads[i] holds, in each quarter, sums of x[4 i] .. x[4 i + 3]
    for (int i = 0; i < 4; ++i) {
      const F* from = x + 4 * i;
      const F first =
          _mm512_add_ps(_mm512_unpacklo_ps(from[0], from[1]), _mm512_unpackhi_ps(from[0], from[1]));
      const F second =
          _mm512_add_ps(_mm512_unpacklo_ps(from[2], from[3]), _mm512_unpackhi_ps(from[2], from[3]));
      quads[i] = _mm512_add_ps(AsFloats(_mm512_unpacklo_epi64(AsWords(first), AsWords(second))),
                               AsFloats(_mm512_unpackhi_epi64(AsWords(first), AsWords(second))));
    }
    const F low = _mm512_add_ps(_mm512_shuffle_f32x4(quads[0], quads[1], 0x88),
                                _mm512_shuffle_f32x4(quads[0], quads[1], 0xdd));
    const F high = _mm512_add_ps(_mm512_shuffle_f32x4(quads[2], quads[3], 0x88),
                                 _mm512_shuffle_f32x4(quads[2], quads[3], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
                         _mm512_shuffle_f32x4(low, high, 0xdd));
  }
  static FASTKV_INLINE void Prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }

  // Turns the 16 x 16 words in r[0..16) over: pairs, quads, then quarters of registers.
  static FASTKV_INLINE void Transpose(I r[kLanes]) {
    I a[16];
    for (int i = 0; i < 16; i += 2) {
      a[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
      a[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    I b[16];
    for (int i = 0; i < 16; i += 4) {
      b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
      b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
      b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
      b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    // b[4 g + c] holds, in quarter q, column 4 q + c of rows 4 g .. 4 g + 3.
    for (int c = 0; c < 4; ++c) {
      const I low_even = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88);
      const I low_odd = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd);
      const I high_even = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88);
      const I high_odd = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
      r[c] = _mm512_shuffle_i32x4(low_even, high_even, 0x88);
      r[8 + c] = _mm512_shuffle_i32x4(low_even, high_even, 0xdd);
      r[4 + c] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
      r[12 + c] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd);
    }
  }

  static FASTKV_INLINE void LoadTransposed(const void* const rows[kLanes], I columns[kLanes]) {
    for (int i = 0; i < kLanes; ++i) columns[i] = LoadWords(rows[i]);
    Transpose(columns);
  }

 private:
  // The lower halves of 16 bytes, then the upper ones.
  static FASTKV_INLINE __m256i SplitNibbles(const void* p) {
    const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(p));
    const __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
  }
  static FASTKV_INLINE I RoundedToBF16(F x) {
    const I bits = AsWords(x);
    const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  }
};

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_SIMD_AVX512_H_
