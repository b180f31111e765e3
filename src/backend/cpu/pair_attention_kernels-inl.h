// Attention with products of pairs of bf16, written over the vocabulary `Simd` of the including
// translation unit. See AttendPairsArgs in kernels.h.
#ifndef FASTKV_BACKEND_CPU_PAIR_ATTENTION_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_PAIR_ATTENTION_KERNELS_INL_H_

#include <cstdint>
#include <cstring>

#include "backend/cpu/pair_kernels-inl.h"
#include "backend/cpu/softmax_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr int64_t kHalfRun = kPairDepth / 2;
constexpr int kVectors = Simd::kPanelVectors;

// Products in vector registers; TileProducts in kernels_amx.cc is the other kind. An object stands
// for the state that the processor needs while it multiplies.
template <typename Pairs>
struct VectorProducts {
  void Multiply(const GemmPairsArgs& args) const { MultiplyPairs<Pairs>(args); }
  static FASTKV_INLINE Simd::I Round(Simd::F first, Simd::F second) {
    return Pairs::Round(first, second);
  }
};

// One whole run of kPairDepth entries: words of two columns of values of kLanes entries each are
// turned over, and those of entries kHalfRun apart joined.
void PackValueRun(const BFloat16* values, int64_t stride, int64_t head_dim, uint16_t* out) {
  constexpr int64_t kColumns = 2 * kLanes;
  int64_t c = 0;
  for (; c + kColumns <= head_dim; c += kColumns) {
    for (int64_t t = 0; t < kHalfRun; t += kLanes) {
      const void* near_rows[kLanes];
      const void* far_rows[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        near_rows[i] = values + (t + i) * stride + c;
        far_rows[i] = values + (t + i + kHalfRun) * stride + c;
      }
      Simd::I near_words[kLanes];
      Simd::I far_words[kLanes];
      Simd::LoadTransposed(near_rows, near_words);
      Simd::LoadTransposed(far_rows, far_words);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        uint16_t* to = out + (c + 2 * i) * kPairKeys + 2 * t;
        Simd::StoreWords(to, Simd::JoinFirsts(near_words[i], far_words[i]));
        Simd::StoreWords(to + kPairKeys, Simd::JoinSeconds(near_words[i], far_words[i]));
      }
    }
  }
  for (; c < head_dim; ++c) {
    for (int64_t t = 0; t < kHalfRun; ++t) {
      out[c * kPairKeys + 2 * t] = values[t * stride + c].bits;
      out[c * kPairKeys + 2 * t + 1] = values[(t + kHalfRun) * stride + c].bits;
    }
  }
}

void PackValuePairs(const void* values, int64_t stride, int64_t num_entries, int64_t head_dim,
                    uint16_t* out) {
  const auto* from = static_cast<const BFloat16*>(values);
  const int64_t depth = (head_dim + kPairDepth - 1) / kPairDepth * kPairDepth;
  const int64_t whole = num_entries / kPairDepth * kPairDepth;
  for (int64_t c = 0; c < depth; ++c) {
    const int64_t filled = c < head_dim ? whole : 0;
    std::memset(out + c * kPairKeys + filled, 0,
                static_cast<size_t>(kPairKeys - filled) * sizeof(uint16_t));
  }
  for (int64_t first = 0; first < whole; first += kPairDepth) {
    PackValueRun(from + first * stride, stride, head_dim, out + first);
  }
  for (int64_t j = whole; j < num_entries; ++j) {
    const int64_t in_run = j - whole;
    uint16_t* to = out + whole + 2 * (in_run % kHalfRun) + in_run / kHalfRun;
    for (int64_t c = 0; c < head_dim; ++c) to[c * kPairKeys] = from[j * stride + c].bits;
  }
}

// 2^x within 3e-6: the minimax polynomial of degree 4 on [0, 1), by our own Remez iteration.
FASTKV_INLINE Simd::F Exp2(Simd::F x) {
  const Simd::F r = Simd::Fraction(x);
  Simd::F p = Simd::Set(0x1.bb7cd4p-7f);
  p = Simd::Fma(p, r, Simd::Set(0x1.aa13f0p-5f));
  p = Simd::Fma(p, r, Simd::Set(0x1.ee798ap-3f));
  p = Simd::Fma(p, r, Simd::Set(0x1.62d166p-1f));
  p = Simd::Fma(p, r, Simd::Set(0x1.00002cp+0f));
  return Simd::TimesPowerOfTwo(p, x);
}

// The lanes of one panel, while a block is taken in.
struct PairPanel {
  Simd::F reference[kVectors];
  Simd::F sum[kVectors];  // of the block's weights
};

// Scores of keys that a row does not see become -infinity. `first_entry`: of scores.
FASTKV_INLINE void HideUnseen(const int32_t* begin, const int32_t* end, int64_t first_entry,
                              int64_t num_keys, float* scores) {
  float from[kPanelWidth];
  float to[kPanelWidth];
  for (int i = 0; i < kPanelWidth; ++i) {
    const int64_t first = begin[i] - first_entry;
    from[i] = static_cast<float>(first < 0 ? 0 : Min(first, num_keys));
    const int64_t last = end[i] - first_entry;
    to[i] = static_cast<float>(last < 0 ? 0 : Min(last, num_keys));
  }
  const Simd::F hidden = Simd::Set(kNegativeInfinity);
  for (int64_t j = 0; j < num_keys; ++j) {
    const Simd::F place = Simd::Set(static_cast<float>(j));
    const Simd::F behind = Simd::Set(static_cast<float>(j + 1));
    for (int v = 0; v < kVectors; ++v) {
      float* s = scores + j * kPanelWidth + v * kLanes;
      const Simd::F late =
          Simd::IfGreaterEqual(Simd::Load(to + v * kLanes), behind, Simd::Load(s), hidden);
      Simd::Store(s, Simd::IfGreaterEqual(place, Simd::Load(from + v * kLanes), late, hidden));
    }
  }
}

FASTKV_INLINE Simd::F LargestScore(const float* scores, int64_t num_keys, int v) {
  Simd::F largest = Simd::Set(kNegativeInfinity);
  for (int64_t j = 0; j < num_keys; ++j) {
    largest = Simd::Max(largest, Simd::Load(scores + j * kPanelWidth + v * kLanes));
  }
  return largest;
}

// Weights of the block's keys, as pairs, and their sums.
template <typename Products>
FASTKV_INLINE void WeighKeys(const float* scores, int64_t num_keys, float scale, PairPanel& panel,
                             uint32_t* probabilities) {
  const Simd::F factor = Simd::Set(scale);
  const Simd::F lowest = Simd::Set(-__FLT_MAX__);
  Simd::F offset[kVectors];
  Simd::F near_sum[kVectors];
  Simd::F far_sum[kVectors];
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v) {
    // A row that has seen nothing yet has weights 0 whatever the reference.
    const Simd::F finite =
        Simd::IfGreaterEqual(panel.reference[v], lowest, panel.reference[v], Simd::Zero());
    offset[v] = Simd::Sub(Simd::Zero(), finite);
    near_sum[v] = far_sum[v] = Simd::Zero();
  }
  for (int64_t run = 0; run < num_keys; run += kPairDepth) {
    const float* s = scores + run * kPanelWidth;
    uint32_t* p = probabilities + run / 2 * kPanelWidth;
#pragma GCC unroll 2
    for (int64_t t = 0; t < kHalfRun; ++t) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const float* near_score = s + t * kPanelWidth + v * kLanes;
        const float* far_score = near_score + kHalfRun * kPanelWidth;
        const Simd::F near = Exp2(Simd::Fma(Simd::Load(near_score), factor, offset[v]));
        const Simd::F far = Exp2(Simd::Fma(Simd::Load(far_score), factor, offset[v]));
        near_sum[v] = Simd::Add(near_sum[v], near);
        far_sum[v] = Simd::Add(far_sum[v], far);
        Simd::StoreWords(p + t * kPanelWidth + v * kLanes, Products::Round(near, far));
      }
    }
  }
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v) panel.sum[v] = Simd::Add(near_sum[v], far_sum[v]);
}

// Raises the reference of the rows whose weights of this block are too large to the block's largest
// score, and scales what they have accumulated. Lanes are independent of each other.
FASTKV_INLINE void RaiseReferences(const AttendPairsArgs& args, int64_t num_keys, int64_t panel,
                                   PairPanel& lanes) {
  const Simd::F limit = Simd::Set(kPairWeightLimit);
  for (int v = 0; v < kVectors; ++v) {
    const Simd::F old = lanes.reference[v];
    const Simd::F largest =
        Simd::Mul(LargestScore(args.scores, num_keys, v), Simd::Set(args.scale));
    lanes.reference[v] = Simd::IfGreaterEqual(limit, lanes.sum[v], old, largest);
    const Simd::F factor =
        Simd::IfGreaterEqual(limit, lanes.sum[v], Simd::Set(1.0f), Exp2(Simd::Sub(old, largest)));
    float* sum = args.sum + panel * kPanelWidth + v * kLanes;
    Simd::Store(sum, Simd::Mul(Simd::Load(sum), factor));
    float* weighted = args.weighted + panel * args.depth * kPanelWidth + v * kLanes;
    for (int64_t c = 0; c < args.depth; ++c) {
      float* w = weighted + c * kPanelWidth;
      Simd::Store(w, Simd::Mul(Simd::Load(w), factor));
    }
  }
}

template <typename Products>
void AttendPanel(const Products& products, const AttendPairsArgs& args, int64_t panel) {
  const int32_t* begin = args.begin + panel * kPanelWidth;
  const int32_t* end = args.end + panel * kPanelWidth;
  int32_t first_begin = begin[0], last_begin = begin[0], first_end = end[0], last_end = end[0];
  for (int i = 1; i < kPanelWidth; ++i) {
    first_begin = begin[i] < first_begin ? begin[i] : first_begin;
    last_begin = begin[i] > last_begin ? begin[i] : last_begin;
    first_end = end[i] < first_end ? end[i] : first_end;
    last_end = end[i] > last_end ? end[i] : last_end;
  }
  // The runs of keys that any row sees. What the others would add is 0.
  const int64_t skipped = first_begin - args.first_entry;
  const int64_t from = skipped < 0 ? 0 : skipped / kPairDepth * kPairDepth;
  const int64_t to = Min(args.num_keys, last_end - args.first_entry);
  if (from >= to) return;
  const int64_t num_keys = (to - from + kPairDepth - 1) / kPairDepth * kPairDepth;
  const int64_t first_entry = args.first_entry + from;

  products.Multiply({.a = args.keys + from * args.key_stride,
                     .a_stride = args.key_stride,
                     .b_panels = args.queries + panel * (args.depth / 2) * kPanelWidth,
                     .num_rows = num_keys,
                     .num_panels = 1,
                     .depth = args.depth,
                     .c = args.scores,
                     .c_stride = kPanelWidth});
  if (last_begin > first_entry || first_end < first_entry + num_keys) {
    HideUnseen(begin, end, first_entry, num_keys, args.scores);
  }

  const Simd::F lowest = Simd::Set(-__FLT_MAX__);
  PairPanel lanes;
  for (int v = 0; v < kVectors; ++v) {
    float* reference = args.reference + panel * kPanelWidth + v * kLanes;
    lanes.reference[v] = Simd::Load(reference);
    if (!Simd::AnyGreater(lowest, lanes.reference[v])) continue;
    const Simd::F largest =
        Simd::Mul(LargestScore(args.scores, num_keys, v), Simd::Set(args.scale));
    lanes.reference[v] =
        Simd::IfGreaterEqual(lanes.reference[v], lowest, lanes.reference[v], largest);
    Simd::Store(reference, lanes.reference[v]);
  }
  WeighKeys<Products>(args.scores, num_keys, args.scale, lanes, args.probabilities);
  bool too_large = false;
  for (int v = 0; v < kVectors; ++v) {
    too_large = too_large || Simd::AnyGreater(lanes.sum[v], Simd::Set(kPairWeightLimit));
  }
  if (too_large) {
    RaiseReferences(args, num_keys, panel, lanes);
    WeighKeys<Products>(args.scores, num_keys, args.scale, lanes, args.probabilities);
  }
  for (int v = 0; v < kVectors; ++v) {
    const int64_t lane = panel * kPanelWidth + v * kLanes;
    Simd::Store(args.reference + lane, lanes.reference[v]);
    Simd::Store(args.sum + lane, Simd::Add(Simd::Load(args.sum + lane), lanes.sum[v]));
  }
  products.Multiply({.a = args.values + from,
                     .a_stride = kPairKeys,
                     .b_panels = args.probabilities,
                     .num_rows = args.depth,
                     .num_panels = 1,
                     .depth = num_keys,
                     .c = args.weighted + panel * args.depth * kPanelWidth,
                     .c_stride = kPanelWidth,
                     .accumulate = true});
}

template <typename Products>
void AttendPairs(const AttendPairsArgs& args) {
  const Products products;
  for (int64_t panel = 0; panel < args.num_panels; ++panel) AttendPanel(products, args, panel);
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_PAIR_ATTENTION_KERNELS_INL_H_
