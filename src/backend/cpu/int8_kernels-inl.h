// Weights of 8 bits, written over the vocabulary `Simd` of the including translation unit.
//
// Few rows of x are multiplied in integers, which cost a third of what widening every weight to a
// float would (on AVX2 that is more than memory takes to deliver them). x becomes integers of 16
// bits, not 8: products of 8 and 16 bits are added up exactly in 32 bits, at the same cost, and the
// rounding of x is then far below that of the weights. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_INT8_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_INT8_KERNELS_INL_H_

#include <cstdint>
#include <cstring>

#include "backend/cpu/gemm_kernels-inl.h"
#include "backend/cpu/mat_vec_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr float kLargestInt8 = 127;
constexpr float kLargestInt16 = 32767;
// Smaller numbers are 0: beyond their reciprocals lies infinity.
constexpr float kSmallestQuantized = 0x1.0p-120f;
constexpr uint32_t kInfinityBits = 0x7f800000;
constexpr uint32_t kNanBits = 0x7fc00000;
// Adding it leaves the nearest integer in the low bits, for |x| < 2^22.
constexpr float kRoundingShift = 0x1.8p23f;

FASTKV_INLINE uint32_t BitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}
FASTKV_INLINE float FloatOf(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

// As bits, which are in the order of the magnitudes; NaN is the largest.
FASTKV_INLINE uint32_t LargestMagnitude(const float* x, int64_t count) {
  int32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto magnitude = static_cast<int32_t>(BitsOf(x[i]) & 0x7fffffffu);
    largest = magnitude > largest ? magnitude : largest;
  }
  return static_cast<uint32_t>(largest);
}

struct Quantization {
  float scale = 0;    // what an integer is multiplied with
  float inverse = 0;  // what a value is multiplied with, before rounding
};

FASTKV_INLINE Quantization QuantizationFor(uint32_t largest_magnitude, float largest_integer) {
  if (largest_magnitude >= kInfinityBits) return {FloatOf(kNanBits), 0};
  const float largest = FloatOf(largest_magnitude);
  if (largest < kSmallestQuantized) return {};
  return {largest / largest_integer, largest_integer / largest};
}

template <typename Integer>
FASTKV_INLINE void QuantizeTo(const float* x, int64_t count, float inverse, Integer* out) {
  if (inverse == 0) {
    for (int64_t i = 0; i < count; ++i) out[i] = 0;
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<Integer>(BitsOf(x[i] * inverse + kRoundingShift));
  }
}

template <typename T>
void QuantizeRowOf(const T* w, int64_t depth, int8_t* out, float* scale) {
  float values[kInputBlock];
  uint32_t largest = 0;
  for (int64_t k = 0; k < depth; k += kInputBlock) {
    const int64_t count = Min(kInputBlock, depth - k);
    ExpandRowsOf(w + k, 0, 1, count, values, 0);
    const uint32_t magnitude = LargestMagnitude(values, count);
    largest = magnitude > largest ? magnitude : largest;
  }
  const Quantization quantization = QuantizationFor(largest, kLargestInt8);
  *scale = quantization.scale;
  for (int64_t k = 0; k < depth; k += kInputBlock) {
    const int64_t count = Min(kInputBlock, depth - k);
    ExpandRowsOf(w + k, 0, 1, count, values, 0);
    QuantizeTo(values, count, quantization.inverse, out + k);
  }
  for (int64_t k = depth; k < PaddedTo(kInt8RowBytes, depth); ++k) out[k] = 0;
}

void QuantizeRow(const void* w, DType type, int64_t depth, int8_t* out, float* scale) {
  WithType(w, type, [&](const auto* data) { QuantizeRowOf(data, depth, out, scale); });
}

// A row of x: all integers, then the scales of their blocks.
FASTKV_INLINE const int16_t* InputIntegers(const float* x) {
  return reinterpret_cast<const int16_t*>(x);
}
FASTKV_INLINE int64_t InputScaleOffset(int64_t depth) {
  return PaddedTo(kInputBlock, depth) * int64_t{sizeof(int16_t)} / int64_t{sizeof(float)};
}

template <typename X>
void PrepareInt8InputOf(const X* x, int64_t depth, float* out) {
  auto* integers = reinterpret_cast<int16_t*>(out);
  float* scales = out + InputScaleOffset(depth);
  for (int64_t k = 0; k < depth; k += kInputBlock) {
    const int64_t count = Min(kInputBlock, depth - k);
    float values[kInputBlock];
    ExpandRowsOf(x + k, 0, 1, count, values, 0);
    const Quantization quantization =
        QuantizationFor(LargestMagnitude(values, count), kLargestInt16);
    QuantizeTo(values, count, quantization.inverse, integers + k);
    for (int64_t i = k + count; i < k + kInputBlock; ++i) integers[i] = 0;
    scales[k / kInputBlock] = quantization.scale;
  }
}

void PrepareInt8Input(const void* x, DType type, int64_t depth, float* out) {
  if (type == DType::kF32) {
    PrepareInt8InputOf(static_cast<const float*>(x), depth, out);
  } else {
    PrepareInt8InputOf(static_cast<const BFloat16*>(x), depth, out);
  }
}

struct Int8Elements {
  static constexpr int64_t kBlockBytes = kDepthBlockBytes;
  static constexpr int64_t kDepthBlock = kDepthBlockBytes;
  static_assert(kDepthBlock % kInputBlock == 0);

  // As StoredElements::Multiply. Within a block of inputs every lane adds at most
  // kInputBlock / (2 kLanes) pairs of products below 2^23, which 32 bits hold.
  template <int kRows, int kOutputs, bool kOverRows>
  static FASTKV_INLINE void Multiply(const MatVecArgs& args, const MatVecTile& tile) {
    const int64_t scale_offset = InputScaleOffset(args.depth);
    const int8_t* w[kOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      w[o] = static_cast<const int8_t*>(args.w) + (tile.output + o * tile.step) * args.w_row_bytes;
    }
    const float* x = args.x + tile.row * args.x_stride;
    Simd::F sums[kRows][kOutputs];
    LoadSums<kRows, kOutputs>(tile, sums);
    for (int64_t begin = tile.begin; begin < tile.end; begin += kInputBlock) {
      const int64_t end = Min(begin + kInputBlock, PaddedTo(kInt8RowBytes, tile.end));
      Simd::I dots[kRows][kOutputs];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) dots[r][o] = Simd::AsWords(Simd::Zero());
      }
      for (int64_t k = begin; k < end; k += 2 * kLanes) {
        Simd::I inputs[kRows];
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          inputs[r] = Simd::LoadWords(InputIntegers(x + r * args.x_stride) + k);
        }
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) {
          if (k % kInt8RowBytes == 0) PrefetchAhead<kOverRows>(w[o] + k, tile);
          const Simd::I weights = Simd::LoadInt8Pairs(w[o] + k);
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            dots[r][o] = Simd::AddPairProducts(dots[r][o], weights, inputs[r]);
          }
        }
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Simd::F scale = Simd::Set(x[r * args.x_stride + scale_offset + begin / kInputBlock]);
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) {
          sums[r][o] = Simd::Fma(Simd::ToFloats(dots[r][o]), scale, sums[r][o]);
        }
      }
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

constexpr WeightKernels Int8WeightKernels() {
  return {.prepare_input = PrepareInt8Input,
          .mat_vec = MatVecOf<Int8Elements>,
          .pack_transposed = PackTransposedRows<int8_t>};
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_INT8_KERNELS_INL_H_
