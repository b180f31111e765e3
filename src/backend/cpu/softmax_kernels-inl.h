// The exponential and the online softmax, written over the vocabulary `Simd` of the including
// translation unit. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_SOFTMAX_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_SOFTMAX_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/kernels.h"

namespace fastkv::cpu {
namespace {

constexpr float kNegativeInfinity = -__builtin_inff();

// e^x for x <= 0 within 1 ulp (softmax_kernels_test.cc); 0 below the smallest normal result.
//   e^x = 2^n e^r,  n = round(x / ln 2),  |r| <= ln(2) / 2,
// ln 2 split in two so that r is exact, e^r by its minimax polynomial of degree 6
// (Cephes expf, S. Moshier).
FASTKV_INLINE Simd::F ExpNonPositive(Simd::F x) {
  const Simd::F lowest = Simd::Set(-87.33654f);
  const Simd::F clamped = Simd::Max(x, lowest);
  const Simd::F n = Simd::Round(Simd::Mul(clamped, Simd::Set(1.44269504088896341f)));
  Simd::F r = Simd::Fma(n, Simd::Set(-0.693359375f), clamped);
  r = Simd::Fma(n, Simd::Set(2.12194440e-4f), r);
  Simd::F p = Simd::Set(1.9875691500e-4f);
  p = Simd::Fma(p, r, Simd::Set(1.3981999507e-3f));
  p = Simd::Fma(p, r, Simd::Set(8.3334519073e-3f));
  p = Simd::Fma(p, r, Simd::Set(4.1665795894e-2f));
  p = Simd::Fma(p, r, Simd::Set(1.6666665459e-1f));
  p = Simd::Fma(p, r, Simd::Set(5.0000001201e-1f));
  const Simd::F e = Simd::Fma(Simd::Mul(r, r), p, Simd::Add(r, Simd::Set(1.0f)));
  return Simd::IfGreaterEqual(x, lowest, Simd::Mul(e, Simd::PowerOfTwo(n)));
}

FASTKV_INLINE float ExpNonPositive(float x) {
  float lanes[Simd::kLanes];
  Simd::Store(lanes, ExpNonPositive(Simd::Set(x)));
  return lanes[0];
}

// The largest of scores[begin, end); the vector part may look at the columns around it, which hold
// initialised numbers.
FASTKV_INLINE float MaxBetween(const float* scores, int64_t begin, int64_t end) {
  constexpr int kLanes = Simd::kLanes;
  Simd::F max0 = Simd::Set(kNegativeInfinity);
  Simd::F max1 = max0;
  int64_t j = begin / kLanes * kLanes;
  if (j < begin) {
    max0 = Simd::Between(static_cast<int>(begin - j), static_cast<int>(end - j),
                         Simd::Load(scores + j), max0);
    j += kLanes;
  }
  for (; j + 2 * kLanes <= end; j += 2 * kLanes) {
    max0 = Simd::Max(max0, Simd::Load(scores + j));
    max1 = Simd::Max(max1, Simd::Load(scores + j + kLanes));
  }
  for (; j < end; j += kLanes) {
    max1 = Simd::Max(max1, Simd::Between(0, static_cast<int>(end - j), Simd::Load(scores + j),
                                         Simd::Set(kNegativeInfinity)));
  }
  return Simd::ReduceMax(Simd::Max(max0, max1));
}

float SoftmaxStep(const SoftmaxArgs& args) {
  constexpr int kLanes = Simd::kLanes;
  float* s = args.scores;
  const int64_t num_columns = args.num_columns;
  if (args.begin >= args.end) {
    for (int64_t j = 0; j < num_columns; j += kLanes) Simd::Store(s + j, Simd::Zero());
    return 1.0f;
  }
  const float block_max = args.scale * MaxBetween(s, args.begin, args.end);
  const float old_max = *args.max;
  const float max = block_max > old_max ? block_max : old_max;
  const float rescale = max == old_max ? 1.0f : ExpNonPositive(old_max - max);
  const Simd::F scale = Simd::Set(args.scale);
  const Simd::F negated_max = Simd::Set(-max);
  Simd::F sum0 = Simd::Zero();
  Simd::F sum1 = Simd::Zero();
  const int64_t inside_begin = (args.begin + kLanes - 1) / kLanes * kLanes;
  const int64_t inside_end = args.end / kLanes * kLanes;
  for (int64_t j = 0; j < num_columns; j += kLanes) {
    Simd::F p = ExpNonPositive(Simd::Fma(Simd::Load(s + j), scale, negated_max));
    if (j < inside_begin || j >= inside_end) {
      p = Simd::Between(static_cast<int>(args.begin - j), static_cast<int>(args.end - j), p,
                        Simd::Zero());
    }
    Simd::Store(s + j, p);
    // Two chains by the parity of the column block, so that the sum does not depend on num_columns.
    if ((j / kLanes) % 2 == 0) {
      sum0 = Simd::Add(sum0, p);
    } else {
      sum1 = Simd::Add(sum1, p);
    }
  }
  *args.sum = Simd::Fma(*args.sum, rescale, Simd::ReduceAdd(Simd::Add(sum0, sum1)));
  *args.max = max;
  return rescale;
}

void AddExponentials(const float* scores, int64_t count, float scale, float max, float factor,
                     float* sums) {
  constexpr int kLanes = Simd::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    const Simd::F p =
        ExpNonPositive(Simd::Fma(Simd::Load(scores + j), Simd::Set(scale), Simd::Set(-max)));
    Simd::Store(sums + j, Simd::Fma(p, Simd::Set(factor), Simd::Load(sums + j)));
  }
  for (; j < count; ++j) {
    sums[j] = Simd::Fma(ExpNonPositive(Simd::Fma(scores[j], scale, -max)), factor, sums[j]);
  }
}

void ScaleRow(float* x, int64_t count, float factor) {
  constexpr int kLanes = Simd::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    Simd::Store(x + j, Simd::Mul(Simd::Load(x + j), Simd::Set(factor)));
  }
  for (; j < count; ++j) x[j] *= factor;
}

void AddScaledRow(const float* x, int64_t count, float factor, float* sums) {
  constexpr int kLanes = Simd::kLanes;
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    Simd::Store(sums + j, Simd::Fma(Simd::Load(x + j), Simd::Set(factor), Simd::Load(sums + j)));
  }
  for (; j < count; ++j) sums[j] = Simd::Fma(x[j], factor, sums[j]);
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_SOFTMAX_KERNELS_INL_H_
