#include "backend/cpu/vector_ops.h"

#include <cmath>
#include <cstring>

#include "hwy/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/vector_ops.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fastkv::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using HalfWords = hn::Rebind<uint16_t, Floats>;
using Bytes = hn::Rebind<int8_t, Floats>;
using V = hn::Vec<Floats>;

constexpr size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);

HWY_INLINE V LoadRow(const float* p) { return hn::LoadU(Floats(), p); }
HWY_INLINE V LoadRow(const BFloat16* p) {
  const auto half = hn::LoadU(HalfWords(), reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), half)));
}
HWY_INLINE V LoadRow(const int8_t* p) {
  const hn::RebindToSigned<Floats> integers;
  return hn::ConvertTo(Floats(), hn::PromoteTo(integers, hn::LoadU(Bytes(), p)));
}

HWY_INLINE void StoreRow(V x, float* p) { hn::StoreU(x, Floats(), p); }
// Nearest, ties to even: adds half a unit, less one when the kept part is even, and cuts off.
HWY_INLINE void StoreRow(V x, BFloat16* p) {
  const Words words;
  const auto bits = hn::BitCast(words, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(words, 0x7fffu)));
  const auto quieted = hn::Or(bits, hn::Set(words, 0x400000u));
  const auto is_nan = hn::RebindMask(words, hn::IsNaN(x));
  const auto kept = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quieted, rounded));
  const hn::RebindToSigned<Floats> integers;
  hn::StoreU(hn::DemoteTo(HalfWords(), hn::BitCast(integers, kept)), HalfWords(),
             reinterpret_cast<uint16_t*>(p));
}

// Calls op(j, inputs, out) for whole vectors, and once more on copies for the rest. An op is a
// struct and not a lambda, because a lambda does not take on the target's attributes.
template <typename In, typename Out, typename Op>
HWY_INLINE void Map1(const In* a, Out* out, int64_t count, const Op& op) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Floats()));
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) StoreRow(op(LoadRow(a + j)), out + j);
  if (j == count) return;
  In rest[kMaxLanes] = {};
  Out rest_out[kMaxLanes];
  std::memcpy(rest, a + j, static_cast<size_t>(count - j) * sizeof(In));
  StoreRow(op(LoadRow(rest)), rest_out);
  std::memcpy(out + j, rest_out, static_cast<size_t>(count - j) * sizeof(Out));
}

template <typename In, typename Out, typename Op>
HWY_INLINE void Map2(const In* a, const In* b, Out* out, int64_t count, const Op& op) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Floats()));
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) StoreRow(op(LoadRow(a + j), LoadRow(b + j)), out + j);
  if (j == count) return;
  const auto rest = static_cast<size_t>(count - j);
  In rest_a[kMaxLanes] = {};
  In rest_b[kMaxLanes] = {};
  Out rest_out[kMaxLanes];
  std::memcpy(rest_a, a + j, rest * sizeof(In));
  std::memcpy(rest_b, b + j, rest * sizeof(In));
  StoreRow(op(LoadRow(rest_a), LoadRow(rest_b)), rest_out);
  std::memcpy(out + j, rest_out, rest * sizeof(Out));
}

struct Identity {
  HWY_INLINE V operator()(V x) const { return x; }
};
struct Sum {
  HWY_INLINE V operator()(V a, V b) const { return hn::Add(a, b); }
};
struct Maximum {
  HWY_INLINE V operator()(V a, V b) const { return hn::IfThenElse(hn::Lt(a, b), b, a); }
};
struct Scale {
  V factor;
  HWY_INLINE V operator()(V x, V weight) const { return hn::Mul(hn::Mul(x, factor), weight); }
};
struct GatedSilu {
  HWY_INLINE V operator()(V gate, V up) const {
    const Floats d;
    // Above 88 the exponential would overflow; the quotient is then below 1e-36 either way.
    const V exponential = hn::Exp(d, hn::Min(hn::Neg(gate), hn::Set(d, 88.0f)));
    return hn::Mul(hn::Div(gate, hn::Add(hn::Set(d, 1.0f), exponential)), up);
  }
};

void FloatsToBFloat16(const float* x, BFloat16* out, int64_t count) {
  Map1(x, out, count, Identity());
}
void ScaledInt8ToFloats(const int8_t* x, float scale, int64_t count, float* out) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const V factor = hn::Set(d, scale);
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) hn::StoreU(hn::Mul(LoadRow(x + j), factor), d, out + j);
  for (; j < count; ++j) out[j] = scale * static_cast<float>(x[j]);
}
void AddTo(float* to, const float* x, int64_t count) { Map2(to, x, to, count, Sum()); }
void MaxTo(float* to, const float* x, int64_t count) { Map2(to, x, to, count, Maximum()); }

float Dot(const float* a, const float* b, int64_t count) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  int64_t j = 0;
  for (; j + 4 * lanes <= count; j += 4 * lanes) {
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t k = j + i * lanes;
      sums[i] = hn::MulAdd(hn::LoadU(d, a + k), hn::LoadU(d, b + k), sums[i]);
    }
  }
  for (; j + lanes <= count; j += lanes) {
    sums[0] = hn::MulAdd(hn::LoadU(d, a + j), hn::LoadU(d, b + j), sums[0]);
  }
  float sum =
      hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
  for (; j < count; ++j) sum += a[j] * b[j];
  return sum;
}
float SumOfSquares(const float* x, int64_t count) { return Dot(x, x, count); }

template <typename Out>
HWY_INLINE void Normalize(const float* x, const float* weight, float epsilon, int64_t count,
                          Out* out) {
  const float mean = SumOfSquares(x, count) / static_cast<float>(count);
  Map2(x, weight, out, count, Scale{hn::Set(Floats(), 1.0f / std::sqrt(mean + epsilon))});
}
void RmsNormRowF32(const float* x, const float* weight, float epsilon, int64_t count, float* out) {
  Normalize(x, weight, epsilon, count, out);
}
void RmsNormRowBF16(const float* x, const float* weight, float epsilon, int64_t count,
                    BFloat16* out) {
  Normalize(x, weight, epsilon, count, out);
}

void SiluMultiplyRowF32(const float* gate, const float* up, int64_t count, float* out) {
  Map2(gate, up, out, count, GatedSilu());
}
void SiluMultiplyRowBF16(const BFloat16* gate, const BFloat16* up, int64_t count, BFloat16* out) {
  Map2(gate, up, out, count, GatedSilu());
}

void RotateHead(float* head, const float* cos_sin, int64_t half) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= half; c += lanes) {
    const V cosine = hn::LoadU(d, cos_sin + c);
    const V sine = hn::LoadU(d, cos_sin + half + c);
    const V first = hn::LoadU(d, head + c);
    const V second = hn::LoadU(d, head + half + c);
    hn::StoreU(hn::Sub(hn::Mul(first, cosine), hn::Mul(second, sine)), d, head + c);
    hn::StoreU(hn::Add(hn::Mul(second, cosine), hn::Mul(first, sine)), d, head + half + c);
  }
  for (; c < half; ++c) {
    const float first = head[c];
    const float second = head[half + c];
    head[c] = first * cos_sin[c] - second * cos_sin[half + c];
    head[half + c] = second * cos_sin[c] + first * cos_sin[half + c];
  }
}

float SumOf(const float* x, int64_t count) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  // Side by side, which is what memory delivers fastest.
  const int64_t quarter = count / (4 * lanes) * lanes;
  for (int64_t j = 0; j < quarter; j += lanes) {
    for (int64_t i = 0; i < 4; ++i) {
      sums[i] = hn::Add(sums[i], hn::LoadU(d, x + i * quarter + j));
    }
  }
  float sum =
      hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
  for (int64_t j = 4 * quarter; j < count; ++j) sum += x[j];
  return sum;
}

float MaxOrNan(const float* x, int64_t count) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V max = hn::Set(d, x[0]);
  auto any_nan = hn::IsNaN(max);
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    const V value = hn::LoadU(d, x + j);
    any_nan = hn::Or(any_nan, hn::IsNaN(value));
    max = hn::Max(max, value);
  }
  if (!hn::AllFalse(d, any_nan)) return NAN;
  float result = hn::GetLane(hn::MaxOfLanes(d, max));
  for (; j < count; ++j) {
    if (std::isnan(x[j])) return NAN;
    if (x[j] > result) result = x[j];
  }
  return result;
}

float SumOfExponentials(const float* x, float max, int64_t count) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const V max_v = hn::Set(d, max);
  V sum = hn::Zero(d);
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    sum = hn::Add(sum, hn::Exp(d, hn::Sub(hn::LoadU(d, x + j), max_v)));
  }
  float result = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; j < count; ++j) result += std::exp(x[j] - max);
  return result;
}

}  // namespace fastkv::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fastkv::cpu {
namespace {

HWY_EXPORT(FloatsToBFloat16);
HWY_EXPORT(ScaledInt8ToFloats);
HWY_EXPORT(AddTo);
HWY_EXPORT(MaxTo);
HWY_EXPORT(RmsNormRowF32);
HWY_EXPORT(RmsNormRowBF16);
HWY_EXPORT(SiluMultiplyRowF32);
HWY_EXPORT(SiluMultiplyRowBF16);
HWY_EXPORT(RotateHead);
HWY_EXPORT(SumOf);
HWY_EXPORT(SumOfSquares);
HWY_EXPORT(Dot);
HWY_EXPORT(MaxOrNan);
HWY_EXPORT(SumOfExponentials);

}  // namespace

void SetVectorLevel(CpuLevel level) {
#if defined(__x86_64__)
  int64_t disabled = 0;
  if (level < CpuLevel::kAvx512) disabled |= HWY_AVX3 | HWY_AVX3_DL;
  if (level < CpuLevel::kAvx2) disabled |= HWY_AVX2;
  hwy::DisableTargets(disabled);
#else
  static_cast<void>(level);
#endif
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

void FloatsToBFloat16(const float* x, BFloat16* out, int64_t count) {
  HWY_DYNAMIC_DISPATCH(FloatsToBFloat16)(x, out, count);
}
void ScaledInt8ToFloats(const int8_t* x, float scale, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(ScaledInt8ToFloats)(x, scale, count, out);
}
void AddTo(float* to, const float* x, int64_t count) { HWY_DYNAMIC_DISPATCH(AddTo)(to, x, count); }
void MaxTo(float* to, const float* x, int64_t count) { HWY_DYNAMIC_DISPATCH(MaxTo)(to, x, count); }
void RmsNormRow(const float* x, const float* weight, float epsilon, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNormRowF32)(x, weight, epsilon, count, out);
}
void RmsNormRow(const float* x, const float* weight, float epsilon, int64_t count, BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(RmsNormRowBF16)(x, weight, epsilon, count, out);
}
void SiluMultiplyRow(const float* gate, const float* up, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(SiluMultiplyRowF32)(gate, up, count, out);
}
void SiluMultiplyRow(const BFloat16* gate, const BFloat16* up, int64_t count, BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(SiluMultiplyRowBF16)(gate, up, count, out);
}
void RotateHead(float* head, const float* cos_sin, int64_t half) {
  HWY_DYNAMIC_DISPATCH(RotateHead)(head, cos_sin, half);
}
float SumOf(const float* x, int64_t count) { return HWY_DYNAMIC_DISPATCH(SumOf)(x, count); }
float SumOfSquares(const float* x, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x, count);
}
float Dot(const float* a, const float* b, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b, count);
}
float MaxOrNan(const float* x, int64_t count) { return HWY_DYNAMIC_DISPATCH(MaxOrNan)(x, count); }
float SumOfExponentials(const float* x, float max, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(SumOfExponentials)(x, max, count);
}

}  // namespace fastkv::cpu
#endif
