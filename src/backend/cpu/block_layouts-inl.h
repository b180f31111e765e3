// The block formats of stored weights as the kernels read them, written over the vocabulary `Simd`
// of the including translation unit. tensor/block_formats.h says what the formats are; the tests
// compare the two.
//
// A block is cut into runs of 32 values. Of a run, value j is
//   scale * integer j + offset
// with 16-bit integers in the order of the columns, in pairs, and one or two scales and offsets a
// run. Scales and offsets are exact in float32, and so is a scale times an integer.
#ifndef FASTKV_BACKEND_CPU_BLOCK_LAYOUTS_INL_H_
#define FASTKV_BACKEND_CPU_BLOCK_LAYOUTS_INL_H_

#include <cstdint>
#include <cstring>

#include "backend/cpu/gemm_kernels-inl.h"
#include "tensor/stored_type.h"

namespace fastkv::cpu {
namespace {

constexpr int kRunValues = 32;
// Vectors of pairs that a run makes.
constexpr int kRunVectors = kRunValues / (2 * kLanes);

using BlockByte = unsigned char;

FASTKV_INLINE float BlockHalf(const BlockByte* p) {
  uint16_t half;
  std::memcpy(&half, p, sizeof(half));
  return Simd::HalfToFloat(half);
}
FASTKV_INLINE uint32_t BlockWord(const BlockByte* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// Vector `v` of those that 16 lanes make: the first 8 lanes hold one number, the others the other.
template <typename Vocabulary = Simd>
FASTKV_INLINE Simd::F SetHalvesOf16(int v, float first, float second) {
  if constexpr (kLanes == 16) {
    return Vocabulary::SetHalves(first, second);
  } else {
    return Simd::Set(v * kLanes < 8 ? first : second);
  }
}

// The products of 16 small integers with a factor: one for the first 8, one for the others.
FASTKV_INLINE void StoreFactors(const int8_t integers[16], float first, float second, float* out) {
#pragma GCC unroll 4
  for (int v = 0; v < 16 / kLanes; ++v) {
    Simd::Store(out + v * kLanes,
                Simd::Mul(Simd::LoadInt8(integers + v * kLanes), SetHalvesOf16(v, first, second)));
  }
}

// What all formats say of themselves.
template <StoredType type, int runs, int scales_per_run, bool has_offset>
struct BlockLayout {
  static constexpr StoredType kType = type;
  static constexpr int64_t kBytes = BlockOf(type).num_bytes;
  static constexpr int kRuns = runs;
  static_assert(BlockOf(type).num_values == runs * kRunValues);
  static constexpr int kScalesPerRun = scales_per_run;
  static constexpr bool kHasOffset = has_offset;
  // Of a block: its scales, then its offsets.
  struct Factors {
    static constexpr int kCount = runs * scales_per_run;
    float values[has_offset ? 2 * kCount : kCount];
    FASTKV_INLINE float Scale(int run, int i) const { return values[run * scales_per_run + i]; }
    FASTKV_INLINE float Offset(int run, int i) const {
      return values[kCount + run * scales_per_run + i];
    }
  };
};

// Formats of 32 values whose blocks begin with their scale.
template <StoredType type>
struct ScaledBlocks : BlockLayout<type, 1, 1, false> {
  using typename BlockLayout<type, 1, 1, false>::Factors;
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    out.values[0] = BlockHalf(block);
  }
};

// And with their scale and their offset.
template <StoredType type>
struct ShiftedBlocks : BlockLayout<type, 1, 1, true> {
  using typename BlockLayout<type, 1, 1, true>::Factors;
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    out.values[0] = BlockHalf(block);
    out.values[1] = BlockHalf(block + 2);
  }
};

struct BlocksQ4_0 : ScaledBlocks<StoredType::kQ4_0> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int, int, Simd::I out[kRunVectors]) {
    Simd::LoadNibbles(block + 2, out);
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) out[v] = Simd::PairsAdd(out[v], -8);
  }
};

struct BlocksQ4_1 : ShiftedBlocks<StoredType::kQ4_1> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int, int, Simd::I out[kRunVectors]) {
    Simd::LoadNibbles(block + 4, out);
  }
};

// 4 bits of each value in `nibbles`, the fifth in a bit of `bits`.
FASTKV_INLINE void LoadFiveBits(const BlockByte* nibbles, const BlockByte* bits,
                                Simd::I out[kRunVectors]) {
  Simd::LoadNibbles(nibbles, out);
  const uint32_t word = BlockWord(bits);
#pragma GCC unroll 4
  for (int v = 0; v < kRunVectors; ++v) {
    const Simd::I upper = Simd::PairsAnd(Simd::PairsOfBits(word >> v * 2 * kLanes), 16);
    out[v] = Simd::PairsOr(out[v], upper);
  }
}

struct BlocksQ5_0 : ScaledBlocks<StoredType::kQ5_0> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int, int, Simd::I out[kRunVectors]) {
    LoadFiveBits(block + 6, block + 2, out);
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) out[v] = Simd::PairsAdd(out[v], -16);
  }
};

struct BlocksQ5_1 : ShiftedBlocks<StoredType::kQ5_1> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int, int, Simd::I out[kRunVectors]) {
    LoadFiveBits(block + 8, block + 4, out);
  }
};

struct BlocksQ8_0 : ScaledBlocks<StoredType::kQ8_0> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int, int, Simd::I out[kRunVectors]) {
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) out[v] = Simd::LoadInt8Pairs(block + 2 + v * 2 * kLanes);
  }
};

struct BlocksIQ4NL : ScaledBlocks<StoredType::kIQ4NL> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int, int, Simd::I out[kRunVectors]) {
    Simd::LookUpNibbles(block + 2, kNonLinearIntegers, out);
  }
};

// The formats of 256 values. Run 4 * half + quarter; `quarter` is a constant where it is inlined.

struct BlocksQ2K : BlockLayout<StoredType::kQ2K, 8, 2, true> {
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    int8_t scales[16];
    int8_t offsets[16];
    for (int i = 0; i < 16; ++i) {
      scales[i] = static_cast<int8_t>(block[i] & 15);
      offsets[i] = static_cast<int8_t>(block[i] >> 4);
    }
    const float d = BlockHalf(block + 80);
    const float dmin = -BlockHalf(block + 82);
    StoreFactors(scales, d, d, out.values);
    StoreFactors(offsets, dmin, dmin, out.values + 16);
  }
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int half, int quarter,
                                    Simd::I out[kRunVectors]) {
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) {
      const Simd::I bytes = Simd::LoadBytePairs(block + 16 + 32 * half + v * 2 * kLanes);
      out[v] = Simd::PairsAnd(Simd::PairsShiftRight(bytes, 2 * quarter), 3);
    }
  }
};

struct BlocksQ3K : BlockLayout<StoredType::kQ3K, 8, 2, false> {
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    // The lower four bits of 16 scales in the first eight bytes, the upper two in four more.
    const BlockByte* from = block + 96;
    int8_t scales[16];
    for (int i = 0; i < 16; ++i) {
      const int low = i < 8 ? from[i] & 15 : from[i - 8] >> 4;
      const int high = from[8 + i % 4] >> i / 4 * 2 & 3;
      scales[i] = static_cast<int8_t>((low | high << 4) - 32);
    }
    const float d = BlockHalf(block + 108);
    StoreFactors(scales, d, d, out.values);
  }
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int half, int quarter,
                                    Simd::I out[kRunVectors]) {
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) {
      const Simd::I bytes = Simd::LoadBytePairs(block + 32 + 32 * half + v * 2 * kLanes);
      const Simd::I low = Simd::PairsAnd(Simd::PairsShiftRight(bytes, 2 * quarter), 3);
      const Simd::I masks = Simd::LoadBytePairs(block + v * 2 * kLanes);
      const Simd::I bit = Simd::PairsAnd(Simd::PairsShiftRight(masks, 4 * half + quarter), 1);
      out[v] = Simd::PairsAdd(Simd::PairsOr(low, Simd::PairsShiftLeft(bit, 2)), -4);
    }
  }
};

// Eight scales, then eight offsets, of six bits each in twelve bytes.
FASTKV_INLINE void LoadSixBits(const BlockByte* bytes, int8_t out[16]) {
  const uint32_t a = BlockWord(bytes);
  const uint32_t b = BlockWord(bytes + 4);
  const uint32_t c = BlockWord(bytes + 8);
  const uint32_t words[4] = {a & 0x3f3f3f3fu, (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u),
                             b & 0x3f3f3f3fu, (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u)};
  std::memcpy(out, words, sizeof(words));
}

// Lower or upper halves of 32 bytes, which two runs share.
FASTKV_INLINE Simd::I NibblesOf(const BlockByte* bytes, bool upper) {
  const Simd::I pairs = Simd::LoadBytePairs(bytes);
  return upper ? Simd::PairsShiftRight(pairs, 4) : Simd::PairsAnd(pairs, 15);
}

// Formats of 256 values with a scale and an offset, subtracted, of six bits for every run.
template <StoredType type>
struct SixBitBlocks : BlockLayout<type, 8, 1, true> {
  using typename BlockLayout<type, 8, 1, true>::Factors;
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    int8_t integers[16];
    LoadSixBits(block + 4, integers);
    StoreFactors(integers, BlockHalf(block), -BlockHalf(block + 2), out.values);
  }
};

struct BlocksQ4K : SixBitBlocks<StoredType::kQ4K> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int half, int quarter,
                                    Simd::I out[kRunVectors]) {
    const BlockByte* bytes = block + 16 + 64 * half + 32 * (quarter / 2);
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) {
      out[v] = NibblesOf(bytes + v * 2 * kLanes, quarter % 2 != 0);
    }
  }
};

struct BlocksQ5K : SixBitBlocks<StoredType::kQ5K> {
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int half, int quarter,
                                    Simd::I out[kRunVectors]) {
    const BlockByte* bytes = block + 48 + 64 * half + 32 * (quarter / 2);
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) {
      const Simd::I bits = Simd::LoadBytePairs(block + 16 + v * 2 * kLanes);
      const Simd::I bit = Simd::PairsAnd(Simd::PairsShiftRight(bits, 4 * half + quarter), 1);
      out[v] = Simd::PairsOr(NibblesOf(bytes + v * 2 * kLanes, quarter % 2 != 0),
                             Simd::PairsShiftLeft(bit, 4));
    }
  }
};

struct BlocksQ6K : BlockLayout<StoredType::kQ6K, 8, 2, false> {
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    int8_t scales[16];
    std::memcpy(scales, block + 192, sizeof(scales));
    const float d = BlockHalf(block + 208);
    StoreFactors(scales, d, d, out.values);
  }
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int half, int quarter,
                                    Simd::I out[kRunVectors]) {
    const BlockByte* low = block + 64 * half + 32 * (quarter % 2);
    const BlockByte* high = block + 128 + 32 * half;
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) {
      const Simd::I bytes = Simd::LoadBytePairs(high + v * 2 * kLanes);
      const Simd::I moved = quarter < 2 ? Simd::PairsShiftLeft(bytes, 4 - 2 * quarter)
                                        : Simd::PairsShiftRight(bytes, 2 * quarter - 4);
      out[v] = Simd::PairsAdd(
          Simd::PairsOr(NibblesOf(low + v * 2 * kLanes, quarter >= 2), Simd::PairsAnd(moved, 48)),
          -32);
    }
  }
};

struct BlocksIQ4XS : BlockLayout<StoredType::kIQ4XS, 8, 1, false> {
  static FASTKV_INLINE void LoadFactors(const BlockByte* block, Factors& out) {
    const float d = BlockHalf(block);
    const uint32_t upper = BlockWord(block) >> 16;
    const uint32_t lower = BlockWord(block + 4);
    for (int run = 0; run < 8; ++run) {
      const uint32_t scale = (lower >> 4 * run & 15) | (upper >> 2 * run & 3) << 4;
      out.values[run] = d * static_cast<float>(static_cast<int32_t>(scale) - 32);
    }
  }
  static FASTKV_INLINE void LoadRun(const BlockByte* block, int half, int quarter,
                                    Simd::I out[kRunVectors]) {
    Simd::LookUpNibbles(block + 8 + 64 * half + 16 * quarter, kNonLinearIntegers, out);
  }
};

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_BLOCK_LAYOUTS_INL_H_
