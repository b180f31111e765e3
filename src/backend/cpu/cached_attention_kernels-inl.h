// Attention of the rows of one token over a run of cached entries, written over the vocabulary
// `Simd` of the including translation unit: keys and values stream through once, as they are
// stored. See kernels.h.
//
// Up to four rows share every load. Their scores stand side by side, [entry, row], so that a vector
// holds the scores of kLanes / rows entries, and one softmax serves any number of rows. Of entries
// in integers, the keys' scales go into the scores and the values' into the probabilities.
#ifndef FASTKV_BACKEND_CPU_CACHED_ATTENTION_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_CACHED_ATTENTION_KERNELS_INL_H_

#include <cstdint>
#include <cstring>

#include "backend/cpu/mat_vec_kernels-inl.h"
#include "backend/cpu/softmax_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr int kMaxTogether = kEntryRowsTogether;
// Entries scored before their values are added up. While a block is computed, the next one is
// fetched: short blocks keep memory busy evenly. A multiple of kLanes.
constexpr int64_t kEntryBlock = 16;

// The softmax of up to kMaxTogether rows so far.
struct EntryRows {
  float max[kMaxTogether];
  float sums[kLanes];  // lane l belongs to row l % rows
};
static_assert(sizeof(EntryRows) <= kEntryStateFloats * sizeof(float));

// The kMatVecStep elements of a row from column c on, as LoadHalf gives them.
template <typename T>
FASTKV_INLINE void LoadStep(const T* row, int64_t c, Simd::F step[2]) {
  step[0] = LoadHalf(row + c, 0);
  step[1] = LoadHalf(row + c, 1);
}

// Elements [c, c + count) of a row, as LoadStep, and 0 behind them.
template <typename T>
FASTKV_INLINE void LoadPartOfStep(const T* row, int64_t c, int64_t count, Simd::F step[2]) {
  T part[kMatVecStep] = {};
  std::memcpy(part, row + c, static_cast<size_t>(count) * sizeof(T));
  LoadStep(part, 0, step);
}

// Whether a line of the cache begins within the step at element c of a row that begins with one.
template <typename T>
FASTKV_INLINE bool BeginsLine(int64_t c) {
  constexpr int64_t kLineBytes = 64;
  return c * static_cast<int64_t>(sizeof(T)) % kLineBytes == 0;
}

// Stores the scores of entries j and following that `sums` of [entry, row] add up to.
template <int kRows>
FASTKV_INLINE void StoreScores(const Simd::F sums[kLanes], int64_t j, int64_t num_entries,
                               float* scores) {
  const int num_valid = static_cast<int>(Min(num_entries - j, kLanes / kRows)) * kRows;
  Simd::Store(scores + j * kRows,
              Simd::Between(0, num_valid, Simd::SumLanes(sums), Simd::Set(kNegativeInfinity)));
}

// scores[j, r] = queries[r] . keys[j]; -infinity for the entries that fill the last vector up.
template <typename T, int kRows, int kDim>
FASTKV_INLINE void ScoreEntries(const AttendEntriesArgs& args, const float* queries, const T* keys,
                                int64_t num_entries, float* scores) {
  constexpr int kEntries = kLanes / kRows;
  const int64_t depth = kDim > 0 ? kDim : args.head_dim;
  const int64_t whole = depth / kMatVecStep * kMatVecStep;
  for (int64_t j = 0; j < num_entries; j += kEntries) {
    const T* rows[kEntries];
#pragma GCC unroll 16
    for (int i = 0; i < kEntries; ++i) {
      rows[i] = keys + Min(j + i, num_entries - 1) * args.key_stride;
    }
    Simd::F sums[kLanes];
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) sums[l] = Simd::Zero();
#pragma GCC unroll 8
    for (int64_t c = 0; c < whole; c += kMatVecStep) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        Simd::F key[kEntries];
#pragma GCC unroll 16
        for (int i = 0; i < kEntries; ++i) {
          key[i] = LoadHalf(rows[i] + c, half);
          if (half == 0 && BeginsLine<T>(c))
            Simd::Prefetch(rows[i] + kEntryBlock * args.key_stride + c);
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const Simd::F q = Simd::Load(queries + r * args.query_stride + c + half * kLanes);
#pragma GCC unroll 16
          for (int i = 0; i < kEntries; ++i) {
            sums[i * kRows + r] = Simd::Fma(q, key[i], sums[i * kRows + r]);
          }
        }
      }
    }
    if (whole < depth) {
      for (int i = 0; i < kEntries; ++i) {
        Simd::F step[2];
        LoadPartOfStep(rows[i], whole, depth - whole, step);
        for (int r = 0; r < kRows; ++r) {
          const float* q = queries + r * args.query_stride + whole;
          Simd::F& sum = sums[i * kRows + r];
          sum = Simd::Fma(Simd::Load(q), step[0], sum);
          sum = Simd::Fma(Simd::Load(q + kLanes), step[1], sum);
        }
      }
    }
    StoreScores<kRows>(sums, j, num_entries, scores);
  }
}

// As ScoreEntries, where queries and keys are bf16 and the CPU multiplies it: half the
// instructions. S: Simd, so that only levels which can do it compile it.
template <typename S, int kRows, int kDim>
FASTKV_INLINE void ScorePairs(const AttendEntriesArgs& args, const float* queries,
                              const BFloat16* keys, int64_t num_entries, float* scores) {
  constexpr int kEntries = kLanes / kRows;
  constexpr int kSteps = kDim / kMatVecStep;
  typename S::I query[kRows][kSteps];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) {
      const float* from = queries + r * args.query_stride + s * kMatVecStep;
      query[r][s] = S::JoinSeconds(S::AsWords(S::Load(from)), S::AsWords(S::Load(from + kLanes)));
    }
  }
  for (int64_t j = 0; j < num_entries; j += kEntries) {
    Simd::F sums[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kEntries; ++i) {
      const BFloat16* row = keys + Min(j + i, num_entries - 1) * args.key_stride;
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) sums[i * kRows + r] = S::Zero();
#pragma GCC unroll 8
      for (int s = 0; s < kSteps; ++s) {
        const typename S::I key = S::LoadWords(row + s * kMatVecStep);
        if (BeginsLine<BFloat16>(s * kMatVecStep)) {
          S::Prefetch(row + kEntryBlock * args.key_stride + s * kMatVecStep);
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          sums[i * kRows + r] = S::AddBF16Products(sums[i * kRows + r], query[r][s], key);
        }
      }
    }
    StoreScores<kRows>(sums, j, num_entries, scores);
  }
}

// scores[j, r] *= factors[j]; those that fill the last vector up stay.
template <int kRows>
FASTKV_INLINE void ScaleEntries(const float* factors, int64_t num_entries, float* scores) {
  const int64_t num_scores = (num_entries * kRows + kLanes - 1) / kLanes * kLanes;
  float of_scores[kEntryBlock * kRows];
  for (int64_t j = 0; j < num_entries; ++j) {
    for (int r = 0; r < kRows; ++r) of_scores[j * kRows + r] = factors[j];
  }
  for (int64_t i = num_entries * kRows; i < num_scores; ++i) of_scores[i] = 1;
  for (int64_t i = 0; i < num_scores; i += kLanes) {
    Simd::Store(scores + i, Simd::Mul(Simd::Load(scores + i), Simd::Load(of_scores + i)));
  }
}

// Scores become probabilities relative to the rows' maxima. Where a maximum grew, what was
// accumulated under the old one is scaled.
template <int kRows>
FASTKV_INLINE void WeighEntries(const AttendEntriesArgs& args, int64_t num_entries, float* scores,
                                float* weighted, EntryRows& rows) {
  const int64_t num_scores = (num_entries * kRows + kLanes - 1) / kLanes * kLanes;
  float lanes[kLanes];
  Simd::F block_max = Simd::Load(scores);
  for (int64_t i = kLanes; i < num_scores; i += kLanes) {
    block_max = Simd::Max(block_max, Simd::Load(scores + i));
  }
  Simd::Store(lanes, block_max);
  for (int l = kRows; l < kLanes; ++l) {
    if (lanes[l] > lanes[l % kRows]) lanes[l % kRows] = lanes[l];
  }
  float factors[kLanes];
  bool grew = false;
  for (int r = 0; r < kRows; ++r) {
    const float old_max = rows.max[r];
    const float max = args.scale * lanes[r];
    factors[r] = 1;
    if (!(max > old_max)) continue;
    factors[r] = ExpNonPositive(old_max - max);
    rows.max[r] = max;
    grew = true;
    if (factors[r] != 1.0f)
      ScaleRow(weighted + r * args.query_stride, args.query_stride, factors[r]);
  }
  Simd::F sums = Simd::Load(rows.sums);
  if (grew) {
    for (int l = kRows; l < kLanes; ++l) factors[l] = factors[l % kRows];
    sums = Simd::Mul(sums, Simd::Load(factors));
  }
  for (int l = 0; l < kLanes; ++l) lanes[l] = -rows.max[l % kRows];
  const Simd::F negated_max = Simd::Load(lanes);
  const Simd::F scale = Simd::Set(args.scale);
  for (int64_t i = 0; i < num_scores; i += kLanes) {
    const Simd::F p = ExpNonPositive(Simd::Fma(Simd::Load(scores + i), scale, negated_max));
    Simd::Store(scores + i, p);
    sums = Simd::Add(sums, p);
  }
  Simd::Store(rows.sums, sums);
}

// weighted[r, c ...] += sum over j of p[j, r] * values[j, c ...] for kSteps steps of columns, of
// which the last may have `count` elements only.
template <typename T, int kRows, int kSteps, bool kWhole>
FASTKV_INLINE void AddWeightedSteps(const AttendEntriesArgs& args, const float* p, const T* values,
                                    int64_t num_entries, int64_t c, int64_t count,
                                    float* weighted) {
  Simd::F sums[kRows][kSteps][2];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int s = 0; s < kSteps; ++s) {
      const float* from = weighted + r * args.query_stride + c + s * kMatVecStep;
      sums[r][s][0] = Simd::Load(from);
      sums[r][s][1] = Simd::Load(from + kLanes);
    }
  }
#pragma GCC unroll 2
  for (int64_t j = 0; j < num_entries; ++j) {
    const T* row = values + j * args.value_stride;
#pragma GCC unroll 4
    for (int s = 0; s < kSteps; ++s) {
      Simd::F step[2];
      if (BeginsLine<T>(c + s * kMatVecStep)) {
        Simd::Prefetch(row + kEntryBlock * args.value_stride + c + s * kMatVecStep);
      }
      if constexpr (kWhole) {
        LoadStep(row, c + s * kMatVecStep, step);
      } else {
        LoadPartOfStep(row, c, count, step);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Simd::F x = Simd::Set(p[j * kRows + r]);
        sums[r][s][0] = Simd::Fma(x, step[0], sums[r][s][0]);
        sums[r][s][1] = Simd::Fma(x, step[1], sums[r][s][1]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int s = 0; s < kSteps; ++s) {
      float* to = weighted + r * args.query_stride + c + s * kMatVecStep;
      Simd::Store(to, sums[r][s][0]);
      Simd::Store(to + kLanes, sums[r][s][1]);
    }
  }
}

template <typename T, int kRows, int kDim, bool kInPairs>
FASTKV_INLINE void AttendEntryBlock(const AttendEntriesArgs& args, int64_t row, int64_t first,
                                    int64_t num_entries, EntryRows& rows) {
  constexpr int kSteps =
      kMaxTogether / kRows;  // so that the chains hide the latency of multiply-add
  const int64_t depth = kDim > 0 ? kDim : args.head_dim;
  float scores[kEntryBlock * kRows];
  float* const weighted = args.weighted + row * args.query_stride;
  const float* const queries = args.queries + row * args.query_stride;
  const T* const keys = static_cast<const T*>(args.keys) + first * args.key_stride;
  if constexpr (kInPairs) {
    ScorePairs<Simd, kRows, kDim>(args, queries, keys, num_entries, scores);
  } else {
    ScoreEntries<T, kRows, kDim>(args, queries, keys, num_entries, scores);
  }
  constexpr bool kHasScales = __is_same(T, int8_t);
  if constexpr (kHasScales) ScaleEntries<kRows>(args.key_scales + first, num_entries, scores);
  WeighEntries<kRows>(args, num_entries, scores, weighted, rows);
  if constexpr (kHasScales) ScaleEntries<kRows>(args.value_scales + first, num_entries, scores);
  const T* values = static_cast<const T*>(args.values) + first * args.value_stride;
  int64_t c = 0;
  for (; c + kSteps * kMatVecStep <= depth; c += kSteps * kMatVecStep) {
    AddWeightedSteps<T, kRows, kSteps, true>(args, scores, values, num_entries, c, 0, weighted);
  }
  for (; c + kMatVecStep <= depth; c += kMatVecStep) {
    AddWeightedSteps<T, kRows, 1, true>(args, scores, values, num_entries, c, 0, weighted);
  }
  if (c < depth) {
    AddWeightedSteps<T, kRows, 1, false>(args, scores, values, num_entries, c, depth - c, weighted);
  }
}

// The columns of a step in the order of LoadStep, back in their own.
template <typename T>
FASTKV_INLINE void CopyFromSteps(const float* from, int64_t count, float* to) {
  for (int64_t c = 0; c < count; c += kMatVecStep) {
    for (int64_t i = 0; i < Min(kMatVecStep, count - c); ++i) {
      constexpr bool kInPairs = sizeof(T) == sizeof(BFloat16);
      to[c + i] = kInPairs ? from[c + i % 2 * kLanes + i / 2] : from[c + i];
    }
  }
}

// kInPairs: queries and keys are multiplied as pairs of bf16.
template <typename T, int kDim, bool kInPairs = false>
void AttendEntriesOf(const AttendEntriesArgs& args) {
  const int64_t num_groups = (args.num_rows + kMaxTogether - 1) / kMaxTogether;
  auto* const groups = reinterpret_cast<EntryRows*>(args.state);
  for (int64_t g = 0; g < num_groups; ++g) {
    for (float& max : groups[g].max) max = kNegativeInfinity;
    for (float& sum : groups[g].sums) sum = 0;
  }
  for (int64_t i = 0; i < num_groups * kMaxTogether * args.query_stride; ++i) args.weighted[i] = 0;
  for (int64_t first = 0; first < args.num_entries; first += kEntryBlock) {
    const int64_t count = Min(kEntryBlock, args.num_entries - first);
    for (int64_t g = 0; g < num_groups; ++g) {
      const int64_t row = g * kMaxTogether;
      switch (Min(args.num_rows - row, kMaxTogether)) {
        case 1:
          AttendEntryBlock<T, 1, kDim, kInPairs>(args, row, first, count, groups[g]);
          break;
        case 2:
          AttendEntryBlock<T, 2, kDim, kInPairs>(args, row, first, count, groups[g]);
          break;
        default:  // three rows cost as much as four
          AttendEntryBlock<T, 4, kDim, kInPairs>(args, row, first, count, groups[g]);
      }
    }
  }
  for (int64_t r = 0; r < args.num_rows; ++r) {
    const EntryRows& rows = groups[r / kMaxTogether];
    const int64_t num_together = Min(args.num_rows - r / kMaxTogether * kMaxTogether, kMaxTogether);
    const int64_t step = num_together == 3 ? kMaxTogether : num_together;
    float* out = args.out + r * args.out_stride;
    CopyFromSteps<T>(args.weighted + r * args.query_stride, args.head_dim, out);
    out[args.head_dim] = rows.max[r % kMaxTogether];
    float sum = 0;
    for (int64_t l = r % kMaxTogether; l < kLanes; l += step) sum += rows.sums[l];
    out[args.head_dim + 1] = sum;
  }
}

template <typename T>
void AttendEntriesOfType(const AttendEntriesArgs& args) {
  if constexpr (Simd::kMultipliesBF16 && __is_same(T, BFloat16)) {
    if (args.queries_are_bf16 && args.head_dim == 64) return AttendEntriesOf<T, 64, true>(args);
    if (args.queries_are_bf16 && args.head_dim == 128) return AttendEntriesOf<T, 128, true>(args);
  }
  if (args.head_dim == 64) {
    AttendEntriesOf<T, 64>(args);
  } else if (args.head_dim == 128) {
    AttendEntriesOf<T, 128>(args);
  } else {
    AttendEntriesOf<T, 0>(args);
  }
}

void AttendEntries(const AttendEntriesArgs& args) {
  if (args.type == DType::kF32) {
    AttendEntriesOfType<float>(args);
  } else if (args.type == DType::kI8) {
    AttendEntriesOfType<int8_t>(args);
  } else {
    AttendEntriesOfType<BFloat16>(args);
  }
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_CACHED_ATTENTION_KERNELS_INL_H_
