// The products of few rows with the commonest formats of 4 and 6 bits for AVX2: as
// block_kernels-inl.h, in fewer instructions, which are what such formats wait for. To be included
// in the translation unit of AVX2 only.
//
// Bytes are not spread out to 16 bits: two of them make a word, and masks and shifts leave the
// integers at its even and at its odd places, in two vectors. x is prepared in that order, a row
// of it in records that are read one after the other. (Q8_0 gains nothing.)
#ifndef FASTKV_BACKEND_CPU_BLOCK_KERNELS_AVX2_INL_H_
#define FASTKV_BACKEND_CPU_BLOCK_KERNELS_AVX2_INL_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "backend/cpu/block_kernels-inl.h"

namespace fastkv::cpu {
namespace {

FASTKV_INLINE __m256i LoadBytes(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
FASTKV_INLINE __m128i LoadHalfBytes(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
FASTKV_INLINE __m256i AndBytes(__m256i x, int mask) {
  return _mm256_and_si256(x, _mm256_set1_epi16(static_cast<int16_t>(mask)));
}
// Sums of two products of 16-bit integers each.
FASTKV_INLINE __m256i PairProducts(__m256i w, const void* x) {
  return _mm256_madd_epi16(w, LoadBytes(x));
}

// Places 0, 2 .. 14 of 16 integers, then 1, 3 .. 15.
FASTKV_INLINE void SplitEvenOdd(const int16_t* from, int16_t* evens, int16_t* odds) {
  for (int i = 0; i < 8; ++i) {
    evens[i] = from[2 * i];
    odds[i] = from[2 * i + 1];
  }
}

// A prepared row of x: `kInputBlock` columns after the other in kBlockFloats each, which begin with
// their scale. Calls write(integers, out) for each, whose integers are 0 beyond depth.
constexpr int64_t kScaleFloats = 8;
template <int64_t kBlockFloats, typename X, typename Write>
FASTKV_INLINE void PrepareInputBlocks(const X* x, int64_t depth, float* out, const Write& write) {
  for (int64_t k = 0; k < depth; k += kInputBlock, out += kBlockFloats) {
    const int64_t count = Min(kInputBlock, depth - k);
    float values[kInputBlock];
    int16_t integers[kInputBlock];
    ExpandRowsOf(x + k, 0, 1, count, values, 0);
    const Quantization quantization =
        QuantizationFor(LargestMagnitude(values, count), kLargestInt16);
    QuantizeTo(values, count, quantization.inverse, integers);
    for (int64_t i = count; i < kInputBlock; ++i) integers[i] = 0;
    out[0] = quantization.scale;
    write(integers, out + kScaleFloats);
  }
}

// Of x as two bytes make it: for every 32 columns the integers at even places of the first and of
// the second 16, then those at odd places.
FASTKV_INLINE void WriteEvenOdd(const int16_t* integers, int16_t* out) {
  for (int64_t i = 0; i < kInputBlock; i += 32, out += 32) {
    SplitEvenOdd(integers + i, out, out + 16);
    SplitEvenOdd(integers + i + 16, out + 8, out + 24);
  }
}
// Sums of kCount neighbours, times a factor.
template <int kCount>
FASTKV_INLINE void WriteTotals(const int16_t* integers, float factor, float* out) {
  for (int64_t i = 0; i < kInputBlock / kCount; ++i) {
    int32_t total = 0;
    for (int j = 0; j < kCount; ++j) total += integers[i * kCount + j];
    out[i] = factor * static_cast<float>(total);
  }
}

template <typename Format>
void PrepareBlockInput(const void* x, DType type, int64_t depth, float* out) {
  const auto write = [](const int16_t* integers, float* to) { Format::WriteInput(integers, to); };
  if (type == DType::kF32) {
    PrepareInputBlocks<Format::kBlockFloats>(static_cast<const float*>(x), depth, out, write);
  } else {
    PrepareInputBlocks<Format::kBlockFloats>(static_cast<const BFloat16*>(x), depth, out, write);
  }
}

// A format says how many floats of prepared input kInputBlock columns take (kBlockFloats,
// WriteInput), and adds the products of up to that many columns of kOutputs outputs, which begin at
// blocks[o], with kRows rows of x, whose records begin at x and are `stride` floats apart (Add).

// Q4_0 and Q4_1. Vectors hold 16 bytes of two neighbouring blocks. A record of 64 columns: the
// integers that meet the lower halves of the bytes, at even places and at odd ones, then those that
// meet the upper halves; then, for each lane of the products, the sum of the inputs that it takes.
template <typename Layout>
struct SplitNibbles {
  static constexpr int64_t kRecordFloats = 5 * 8;
  static constexpr int64_t kBlockFloats = kScaleFloats + kInputBlock / 64 * kRecordFloats;
  static constexpr bool kHasOffset = Layout::kHasOffset;
  static constexpr int64_t kQuants = kHasOffset ? 4 : 2;

  static FASTKV_INLINE void WriteInput(const int16_t* integers, float* out) {
    for (int64_t k = 0; k < kInputBlock; k += 64, out += kRecordFloats) {
      auto* vectors = reinterpret_cast<int16_t*>(out);
      for (int block = 0; block < 2; ++block) {
        const int16_t* from = integers + k + 32 * block;
        int16_t* to = vectors + 8 * block;
        SplitEvenOdd(from, to, to + 16);
        SplitEvenOdd(from + 16, to + 32, to + 48);
      }
      for (int lane = 0; lane < 8; ++lane) {
        int32_t total = 0;
        for (int v = 0; v < 4; ++v) {
          total += vectors[16 * v + 2 * lane] + vectors[16 * v + 2 * lane + 1];
        }
        float* const to = out + 32 + lane;
        if constexpr (kHasOffset) {
          *to = static_cast<float>(total);
        } else {
          const int32_t taken_off = 8 * total;
          std::memcpy(to, &taken_off, sizeof(taken_off));
        }
      }
    }
  }

  // Factors of two neighbouring blocks of outputs a and b: in each half of the register, those of
  // one block, a's scale and offset first. (Q4_0 has no offset; what stands there is not used.)
  template <int64_t kNext>
  static FASTKV_INLINE __m256 Factors(const BlockByte* a, const BlockByte* b) {
    const __m128i first = _mm_unpacklo_epi32(LoadHalfBytes(a), LoadHalfBytes(b));
    const __m128i second = _mm_unpacklo_epi32(LoadHalfBytes(a + kNext), LoadHalfBytes(b + kNext));
    return _mm256_cvtph_ps(_mm_unpacklo_epi64(first, second));
  }

  template <int kRows, int64_t kNext>
  static FASTKV_INLINE void AddOutput(const BlockByte* block, __m256 scale, __m256 offset,
                                      const float* x, int64_t stride, __m256 sums[kRows]) {
    const __m256i quants =
        _mm256_inserti128_si256(_mm256_castsi128_si256(LoadHalfBytes(block + kQuants)),
                                LoadHalfBytes(block + kNext + kQuants), 1);
    const __m256i w[4] = {AndBytes(quants, 15), AndBytes(_mm256_srli_epi16(quants, 8), 15),
                          AndBytes(_mm256_srli_epi16(quants, 4), 15),
                          _mm256_srli_epi16(quants, 12)};
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const float* record = x + r * stride;
      __m256i dot = _mm256_add_epi32(
          _mm256_add_epi32(PairProducts(w[0], record), PairProducts(w[1], record + 8)),
          _mm256_add_epi32(PairProducts(w[2], record + 16), PairProducts(w[3], record + 24)));
      if constexpr (!kHasOffset) dot = _mm256_sub_epi32(dot, LoadBytes(record + 32));
      sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sums[r]);
      if constexpr (kHasOffset) {
        sums[r] = _mm256_fmadd_ps(_mm256_loadu_ps(record + 32), offset, sums[r]);
      }
    }
  }

  // 64 columns whose second 32 lie kNext bytes behind the first.
  template <int kRows, int kOutputs, int64_t kNext>
  static FASTKV_INLINE void AddTwoBlocks(const BlockByte* const blocks[kOutputs], int64_t at,
                                         const float* x, int64_t stride,
                                         __m256 sums[kOutputs][kRows]) {
    static_assert(kOutputs % 2 == 0);
#pragma GCC unroll 2
    for (int o = 0; o < kOutputs; o += 2) {
      const BlockByte* a = blocks[o] + at;
      const BlockByte* b = blocks[o + 1] + at;
      const __m256 factors = Factors<kNext>(a, b);
      AddOutput<kRows, kNext>(a, _mm256_permute_ps(factors, 0x00), _mm256_permute_ps(factors, 0x55),
                              x, stride, sums[o]);
      AddOutput<kRows, kNext>(b, _mm256_permute_ps(factors, 0xaa), _mm256_permute_ps(factors, 0xff),
                              x, stride, sums[o + 1]);
    }
  }

  template <int kRows, int kOutputs>
  static FASTKV_INLINE void Add(const BlockByte* const blocks[kOutputs], int64_t num_columns,
                                const float* x, int64_t stride, __m256 sums[kOutputs][kRows]) {
    constexpr int64_t kBytes = Layout::kBytes;
    int64_t at = 0;
    for (; num_columns >= 64; num_columns -= 64, at += 2 * kBytes, x += kRecordFloats) {
      AddTwoBlocks<kRows, kOutputs, kBytes>(blocks, at, x, stride, sums);
    }
    // An odd last block stands in for the one it lacks, whose inputs are 0.
    if (num_columns > 0) AddTwoBlocks<kRows, kOutputs, 0>(blocks, at, x, stride, sums);
  }
};

// The products of 32 columns whose bytes fill a vector.
template <int kRows>
FASTKV_INLINE void AddEvenOdd(__m256i evens, __m256i odds, __m256 scale, const float* x,
                              int64_t stride, __m256 sums[kRows]) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    const float* record = x + r * stride;
    const __m256i dot =
        _mm256_add_epi32(PairProducts(evens, record), PairProducts(odds, record + 8));
    sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sums[r]);
  }
}

// Of x for the formats of 256 values: all integers in pairs of vectors, then totals.
constexpr int64_t kTotalsFloats = kInputBlock / 2;

struct SplitQ4K {
  static constexpr int64_t kBlockFloats = kScaleFloats + kTotalsFloats + 8;
  static FASTKV_INLINE void WriteInput(const int16_t* integers, float* out) {
    WriteEvenOdd(integers, reinterpret_cast<int16_t*>(out));
    WriteTotals<32>(integers, -1, out + kTotalsFloats);
  }

  template <int kRows, int kOutputs>
  static FASTKV_INLINE void Add(const BlockByte* const blocks[kOutputs], int64_t /*num_columns*/,
                                const float* x, int64_t stride, __m256 sums[kOutputs][kRows]) {
    float scales[kOutputs][8];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      int8_t integers[16];
      LoadSixBits(blocks[o] + 4, integers);
      const __m128 halves =
          _mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(blocks[o])));
      Simd::Store(scales[o],
                  _mm256_mul_ps(Simd::LoadInt8(integers), _mm256_broadcastss_ps(halves)));
      const __m256 offsets = _mm256_mul_ps(Simd::LoadInt8(integers + 8),
                                           _mm256_broadcastss_ps(_mm_movehdup_ps(halves)));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[o][r] =
            _mm256_fmadd_ps(Simd::Load(x + r * stride + kTotalsFloats), offsets, sums[o][r]);
      }
    }
    for (int pair = 0; pair < 4; ++pair, x += 32) {
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) {
        const __m256i quants = LoadBytes(blocks[o] + 16 + 32 * pair);
        AddEvenOdd<kRows>(AndBytes(quants, 15), AndBytes(_mm256_srli_epi16(quants, 8), 15),
                          Simd::Set(scales[o][2 * pair]), x, stride, sums[o]);
        AddEvenOdd<kRows>(AndBytes(_mm256_srli_epi16(quants, 4), 15), _mm256_srli_epi16(quants, 12),
                          Simd::Set(scales[o][2 * pair + 1]), x + 16, stride, sums[o]);
      }
    }
  }
};

struct SplitQ6K {
  static constexpr int64_t kBlockFloats = kScaleFloats + kTotalsFloats + 16;
  static FASTKV_INLINE void WriteInput(const int16_t* integers, float* out) {
    WriteEvenOdd(integers, reinterpret_cast<int16_t*>(out));
    WriteTotals<16>(integers, -32, out + kTotalsFloats);
  }

  // Of 32 columns, the first 16 with one scale, the others with the next.
  static FASTKV_INLINE __m256 ScalesAt(const float* scales) {
    const __m256 both =
        _mm256_castpd_ps(_mm256_broadcast_sd(reinterpret_cast<const double*>(scales)));
    return _mm256_permutevar_ps(both, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
  }

  template <int kRows, int kOutputs>
  static FASTKV_INLINE void Add(const BlockByte* const blocks[kOutputs], int64_t /*num_columns*/,
                                const float* x, int64_t stride, __m256 sums[kOutputs][kRows]) {
    float scales[kOutputs][16];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      const __m256 d = Simd::Set(BlockHalf(blocks[o] + 208));
#pragma GCC unroll 2
      for (int i = 0; i < 16; i += 8) {
        const __m256 scale = _mm256_mul_ps(Simd::LoadInt8(blocks[o] + 192 + i), d);
        Simd::Store(scales[o] + i, scale);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          sums[o][r] =
              _mm256_fmadd_ps(Simd::Load(x + r * stride + kTotalsFloats + i), scale, sums[o][r]);
        }
      }
    }
    for (int half = 0; half < 2; ++half, x += 64) {
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) {
        const __m256i low[2] = {LoadBytes(blocks[o] + 64 * half),
                                LoadBytes(blocks[o] + 64 * half + 32)};
        const __m256i high = LoadBytes(blocks[o] + 128 + 32 * half);
#pragma GCC unroll 4
        for (int quarter = 0; quarter < 4; ++quarter) {
          const __m256i nibbles = low[quarter % 2];
          const __m256i lower =
              AndBytes(quarter < 2 ? nibbles : _mm256_srli_epi16(nibbles, 4), 0x0f0f);
          const __m256i moved = quarter < 2 ? _mm256_slli_epi16(high, 4 - 2 * quarter)
                                            : _mm256_srli_epi16(high, 2 * quarter - 4);
          const __m256i bytes = _mm256_or_si256(lower, AndBytes(moved, 0x3030));
          AddEvenOdd<kRows>(AndBytes(bytes, 255), _mm256_srli_epi16(bytes, 8),
                            ScalesAt(scales[o] + 8 * half + 2 * quarter), x + 16 * quarter, stride,
                            sums[o]);
        }
      }
    }
  }
};

template <typename Layout, typename Format>
struct SplitElements {
  static constexpr int64_t kBlockValues = Layout::kRuns * kRunValues;
  static constexpr int64_t kBytesOfInputs = kInputBlock / kBlockValues * Layout::kBytes;
  static constexpr int64_t kDepthBlock = 1024;
  static constexpr int64_t kBlockBytes = kDepthBlock / kInputBlock * kBytesOfInputs;

  // As StoredElements::Multiply.
  template <int kRows, int kOutputs, bool kOverRows>
  static FASTKV_INLINE void Multiply(const MatVecArgs& args, const MatVecTile& tile) {
    const BlockByte* w[kOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      w[o] = static_cast<const BlockByte*>(args.w) +
             (tile.output + o * tile.step) * args.w_row_bytes +
             tile.begin / kInputBlock * kBytesOfInputs;
    }
    const float* x =
        args.x + tile.row * args.x_stride + tile.begin / kInputBlock * Format::kBlockFloats;
    Simd::F sums[kRows][kOutputs];
    LoadSums<kRows, kOutputs>(tile, sums);
    for (int64_t begin = tile.begin; begin < tile.end; begin += kInputBlock) {
      // In the unit of the inputs' integers.
      Simd::F part[kOutputs][kRows];
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) {
        for (int64_t i = 0; i < kBytesOfInputs; i += 64) PrefetchAhead<kOverRows>(w[o] + i, tile);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) part[o][r] = Simd::Zero();
      }
      Format::template Add<kRows, kOutputs>(w, Min(kInputBlock, tile.end - begin), x + kScaleFloats,
                                            args.x_stride, part);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Simd::F scale = Simd::Set(x[r * args.x_stride]);
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) sums[r][o] = Simd::Fma(part[o][r], scale, sums[r][o]);
      }
      x += Format::kBlockFloats;
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) w[o] += kBytesOfInputs;
    }
    if (tile.end < args.depth) return StorePartialSums<kRows, kOutputs>(tile, sums);
    for (int r = 0; r < kRows; ++r) {
      for (int o = 0; o < kOutputs; ++o) {
        args.out[(tile.row + r) * args.out_stride + tile.output + o * tile.step] =
            Simd::ReduceAdd(sums[r][o]);
      }
    }
  }
};

template <typename Layout, typename Format>
constexpr void SetSplitKernels(Kernels& kernels) {
  WeightKernels& weight = kernels.weights[static_cast<int>(Layout::kType)];
  weight.prepare_input = PrepareBlockInput<Format>;
  weight.mat_vec = MatVecOf<SplitElements<Layout, Format>>;
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_BLOCK_KERNELS_AVX2_INL_H_
