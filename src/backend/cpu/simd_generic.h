// The vector vocabulary of the hot kernels in the compiler's own vector types, for any processor;
// see simd_avx2.h. Multiply-adds round twice here: without an instruction for it, a fused one would
// be a library call.
#ifndef FASTKV_BACKEND_CPU_SIMD_GENERIC_H_
#define FASTKV_BACKEND_CPU_SIMD_GENERIC_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/float16.h"

#define FASTKV_INLINE inline __attribute__((always_inline))

namespace fastkv::cpu {
namespace {

struct Simd {
  typedef float F __attribute__((vector_size(16)));
  typedef int32_t I __attribute__((vector_size(16)));
  static constexpr int kLanes = 4;
  static constexpr int kRowTile = 4;
  static constexpr int kPanelVectors = 2;

  static FASTKV_INLINE F Zero() { return F{}; }
  static FASTKV_INLINE F Set(float x) { return F{x, x, x, x}; }
  static FASTKV_INLINE F Load(const float* p) {
    F x;
    std::memcpy(&x, p, sizeof(x));
    return x;
  }
  static FASTKV_INLINE void Store(float* p, F x) { std::memcpy(p, &x, sizeof(x)); }
  static FASTKV_INLINE F InRegister(F x) { return x; }
  static FASTKV_INLINE F Add(F a, F b) { return a + b; }
  static FASTKV_INLINE F Sub(F a, F b) { return a - b; }
  static FASTKV_INLINE F Mul(F a, F b) { return a * b; }
  static FASTKV_INLINE F Max(F a, F b) { return Select(a > b, a, b); }
  static FASTKV_INLINE F Fma(F a, F b, F c) { return a * b + c; }
  static FASTKV_INLINE float Fma(float a, float b, float c) { return a * b + c; }

  static FASTKV_INLINE F LoadBF16(const void* p) {
    uint16_t half[4];
    std::memcpy(half, p, sizeof(half));
    const I words = {half[0] << 16, half[1] << 16, half[2] << 16,
                     static_cast<int32_t>(static_cast<uint32_t>(half[3]) << 16)};
    return AsFloats(words);
  }
  static FASTKV_INLINE F LoadF16(const void* p) {
    Float16 half[4];
    std::memcpy(half, p, sizeof(half));
    return F{ToFloat(half[0]), ToFloat(half[1]), ToFloat(half[2]), ToFloat(half[3])};
  }
  static FASTKV_INLINE F LoadInt8(const void* p) {
    int8_t bytes[4];
    std::memcpy(bytes, p, sizeof(bytes));
    return F{static_cast<float>(bytes[0]), static_cast<float>(bytes[1]),
             static_cast<float>(bytes[2]), static_cast<float>(bytes[3])};
  }
  static FASTKV_INLINE I LoadWords(const void* p) {
    I x;
    std::memcpy(&x, p, sizeof(x));
    return x;
  }
  static FASTKV_INLINE void StoreWords(void* p, I x) { std::memcpy(p, &x, sizeof(x)); }
  static FASTKV_INLINE I AsWords(F x) { return reinterpret_cast<I>(x); }
  static FASTKV_INLINE F AsFloats(I x) { return reinterpret_cast<F>(x); }
  static FASTKV_INLINE F FirstOfPair(I x) { return AsFloats(x << 16); }
  static FASTKV_INLINE F SecondOfPair(I x) {
    return AsFloats(x & static_cast<int32_t>(0xffff0000u));
  }
  static FASTKV_INLINE F ToFloats(I x) { return __builtin_convertvector(x, F); }

  static FASTKV_INLINE F Evens(F a, F b) { return F{a[0], a[2], b[0], b[2]}; }
  static FASTKV_INLINE F Odds(F a, F b) { return F{a[1], a[3], b[1], b[3]}; }
  static FASTKV_INLINE I LoadInt8Pairs(const void* p) {
    typedef int8_t Bytes __attribute__((vector_size(8)));
    typedef int16_t Halves __attribute__((vector_size(16)));
    Bytes bytes;
    std::memcpy(&bytes, p, sizeof(bytes));
    return reinterpret_cast<I>(__builtin_convertvector(bytes, Halves));
  }
  static FASTKV_INLINE I AddPairProducts(I sum, I a, I b) {
    return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
  }
  static constexpr bool kMultipliesBF16 = false;
  static FASTKV_INLINE I LoadBytePairs(const void* p) {
    typedef uint8_t Bytes __attribute__((vector_size(8)));
    Bytes bytes;
    std::memcpy(&bytes, p, sizeof(bytes));
    return reinterpret_cast<I>(__builtin_convertvector(bytes, Shorts));
  }
  static FASTKV_INLINE I PairsAnd(I x, int mask) {
    return reinterpret_cast<I>(reinterpret_cast<Shorts>(x) & static_cast<uint16_t>(mask));
  }
  static FASTKV_INLINE I PairsOr(I a, I b) { return a | b; }
  static FASTKV_INLINE I PairsAdd(I x, int y) {
    return reinterpret_cast<I>(reinterpret_cast<Shorts>(x) + static_cast<uint16_t>(y));
  }
  static FASTKV_INLINE I PairsShiftLeft(I x, int count) {
    return reinterpret_cast<I>(reinterpret_cast<Shorts>(x) << static_cast<uint16_t>(count));
  }
  static FASTKV_INLINE I PairsShiftRight(I x, int count) {
    return reinterpret_cast<I>(reinterpret_cast<Shorts>(x) >> static_cast<uint16_t>(count));
  }
  static FASTKV_INLINE I PairsOfBits(uint32_t bits) {
    const Shorts powers = {1, 2, 4, 8, 16, 32, 64, 128};
    const Shorts all = powers & static_cast<uint16_t>(bits);
    return reinterpret_cast<I>(all == powers);
  }
  static FASTKV_INLINE void LoadNibbles(const void* p, I out[4]) {
    for (int i = 0; i < 2; ++i) {
      const I bytes = LoadBytePairs(static_cast<const char*>(p) + 8 * i);
      out[i] = PairsAnd(bytes, 15);
      out[2 + i] = PairsShiftRight(bytes, 4);
    }
  }
  static FASTKV_INLINE void LookUpNibbles(const void* p, const int8_t table[16], I out[4]) {
    const auto* bytes = static_cast<const unsigned char*>(p);
    int8_t entries[32];
    for (int i = 0; i < 16; ++i) {
      entries[i] = table[bytes[i] & 15];
      entries[16 + i] = table[bytes[i] >> 4];
    }
    for (int i = 0; i < 4; ++i) out[i] = LoadInt8Pairs(entries + 8 * i);
  }
  static FASTKV_INLINE F FirstInteger(I x) { return ToFloats((x << 16) >> 16); }
  static FASTKV_INLINE F SecondInteger(I x) { return ToFloats(x >> 16); }
  static FASTKV_INLINE float HalfToFloat(uint16_t half) { return ToFloat(Float16{half}); }
  static FASTKV_INLINE I JoinFirsts(I a, I b) { return (a & 0xffff) | (b << 16); }
  static FASTKV_INLINE I JoinSeconds(I a, I b) {
    return ((a >> 16) & 0xffff) | (b & static_cast<int32_t>(0xffff0000u));
  }
  static FASTKV_INLINE I RoundToPairs(F first, F second) {
    return JoinSeconds(RoundedToBF16(first), RoundedToBF16(second));
  }

  static FASTKV_INLINE F PowerOfTwo(F n) {
    return AsFloats((__builtin_convertvector(n, I) + 127) << 23);
  }
  // Nearest, ties to even, for |x| < 2^22: adding 1.5 * 2^23 pushes the fraction out.
  static FASTKV_INLINE F Round(F x) {
    const F magic = Set(0x1.8p23f);
    return (x + magic) - magic;
  }
  static FASTKV_INLINE F IfGreaterEqual(F a, F b, F x) { return Select(a >= b, x, Zero()); }
  static FASTKV_INLINE F IfGreaterEqual(F a, F b, F x, F other) { return Select(a >= b, x, other); }
  static FASTKV_INLINE bool AnyGreater(F a, F b) {
    const I greater = a > b;
    return (greater[0] | greater[1] | greater[2] | greater[3]) != 0;
  }
  static FASTKV_INLINE F Fraction(F x) {
    const F inside = Exponent(x);
    return inside - Floor(inside);
  }
  static FASTKV_INLINE F TimesPowerOfTwo(F y, F x) { return y * PowerOfTwo(Floor(Exponent(x))); }
  static FASTKV_INLINE F Between(int begin, int end, F x, F other) {
    const I lane = {0, 1, 2, 3};
    return Select((lane >= begin) & (lane < end), x, other);
  }
  static FASTKV_INLINE float ReduceMax(F x) {
    const float low = x[0] > x[2] ? x[0] : x[2];
    const float high = x[1] > x[3] ? x[1] : x[3];
    return low > high ? low : high;
  }
  static FASTKV_INLINE float ReduceAdd(F x) { return (x[0] + x[2]) + (x[1] + x[3]); }
  static FASTKV_INLINE F SumLanes(const F x[kLanes]) {
    return F{ReduceAdd(x[0]), ReduceAdd(x[1]), ReduceAdd(x[2]), ReduceAdd(x[3])};
  }
  static FASTKV_INLINE void Prefetch(const void* p) { __builtin_prefetch(p); }

  static FASTKV_INLINE void Transpose(I r[kLanes]) {
    const I a[4] = {r[0], r[1], r[2], r[3]};
    for (int i = 0; i < 4; ++i) r[i] = I{a[0][i], a[1][i], a[2][i], a[3][i]};
  }

  static FASTKV_INLINE void LoadTransposed(const void* const rows[kLanes], I columns[kLanes]) {
    for (int i = 0; i < kLanes; ++i) columns[i] = LoadWords(rows[i]);
    Transpose(columns);
  }

 private:
  typedef uint16_t Shorts __attribute__((vector_size(16)));
  static FASTKV_INLINE F Exponent(F x) {
    const F raised = Max(Set(-127.0f), x);
    return Select(Set(128.0f) < raised, Set(128.0f), raised);
  }
  static FASTKV_INLINE F Floor(F x) {
    const F nearest = Round(x);
    return Select(nearest > x, nearest - 1.0f, nearest);
  }
  static FASTKV_INLINE I RoundedToBF16(F x) {
    const I bits = AsWords(x);
    return bits + (((bits >> 16) & 1) + 0x7fff);
  }
  static FASTKV_INLINE F Select(I mask, F yes, F no) {
    return AsFloats((mask & AsWords(yes)) | (~mask & AsWords(no)));
  }
};

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_SIMD_GENERIC_H_
