// From scores to indices, and what is done to scores before.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"

namespace fastkv::cpu {
namespace {

const float* Row(const ConstTensorView& view, int64_t i) {
  return view.As<float>() + i * view.stride(0);
}
float* Row(const TensorView& view, int64_t i) { return view.As<float>() + i * view.stride(0); }

// One shift of the kernel at a time over the whole row; kernels are a few columns wide.
void PoolRow(const float* scores, int64_t num_columns, const PoolScoresParams& params, float* out) {
  const int64_t reach = std::min(params.kernel / 2, num_columns);
  const bool is_max = params.kind == PoolingKind::kMax;
  std::fill_n(out, num_columns, is_max ? -std::numeric_limits<float>::infinity() : 0.0f);
  for (int64_t shift = -reach; shift <= reach; ++shift) {
    const int64_t begin = std::max<int64_t>(0, -shift);
    const int64_t count = num_columns - std::abs(shift);
    if (count <= 0) continue;
    if (is_max) {
      MaxTo(out + begin, scores + begin + shift, count);
    } else {
      AddTo(out + begin, scores + begin + shift, count);
    }
  }
  if (is_max) return;
  for (int64_t j = 0; j < num_columns; ++j) out[j] /= static_cast<float>(params.kernel);
}

// Orders like the scores, as integers: larger score, larger key; -0 equals 0; NaN is 0, below all.
uint32_t SortKey(float score) {
  if (std::isnan(score)) return 0;
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The count-th largest key, and how many columns with exactly that key belong to the selection.
struct Threshold {
  uint32_t key = 0;
  int64_t num_equal = 0;
};

// Radix selection: three passes over the row, each settling some bits of the threshold by counting.
// REQUIRES: 0 < count <= num_columns.
Threshold FindThreshold(const float* scores, int64_t num_columns, int64_t count) {
  constexpr std::array<int, 3> kShifts = {21, 10, 0};
  constexpr std::array<int, 3> kBits = {11, 11, 10};
  std::array<int64_t, 2048> histogram;
  Threshold threshold{.key = 0, .num_equal = count};
  uint32_t settled = 0;  // mask of the bits of key that are known
  for (size_t pass = 0; pass < kShifts.size(); ++pass) {
    const uint32_t digit_mask = (1u << kBits[pass]) - 1;
    histogram.fill(0);
    for (int64_t j = 0; j < num_columns; ++j) {
      const uint32_t key = SortKey(scores[j]);
      if ((key & settled) == threshold.key) ++histogram[(key >> kShifts[pass]) & digit_mask];
    }
    uint32_t digit = digit_mask;
    while (histogram[digit] < threshold.num_equal) threshold.num_equal -= histogram[digit--];
    threshold.key |= digit << kShifts[pass];
    settled |= digit_mask << kShifts[pass];
  }
  return threshold;
}

void SelectFromRow(const float* scores, int64_t num_columns, int64_t count, int32_t* out) {
  if (count == 0) return;
  const Threshold threshold = FindThreshold(scores, num_columns, count);
  int64_t num_equal = threshold.num_equal;
  for (int64_t j = 0; j < num_columns; ++j) {
    const uint32_t key = SortKey(scores[j]);
    if (key < threshold.key) continue;
    if (key == threshold.key && num_equal-- <= 0) continue;
    *out++ = static_cast<int32_t>(j);
  }
}

}  // namespace

void FillColumns(const Context& context, const FillColumnsParams& params) {
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  int64_t num_filled = 0;
  for (const ColumnSpan& span : params.spans) {
    FASTKV_CHECK_LE(0, span.begin);
    FASTKV_CHECK_LE(span.begin, span.end);
    FASTKV_CHECK_LE(span.end, params.scores.dim(1));
    num_filled += span.end - span.begin;
  }
  context.ForRows(params.scores.dim(0), num_filled, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      for (const ColumnSpan& span : params.spans) {
        std::fill_n(Row(params.scores, i) + span.begin, span.end - span.begin, params.value);
      }
    }
  });
}

void PoolScores(const Context& context, const PoolScoresParams& params) {
  const int64_t num_columns = params.scores.dim(1);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.kernel % 2, 1);
  FASTKV_CHECK_EQ(params.out.dim(0), params.scores.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  context.ForRows(params.scores.dim(0), num_columns * params.kernel,
                  [&](int64_t begin, int64_t end, int) {
                    for (int64_t i = begin; i < end; ++i) {
                      PoolRow(Row(params.scores, i), num_columns, params, Row(params.out, i));
                    }
                  });
}

void ReduceRows(const Context& context, const ReduceRowsParams& params) {
  const int64_t num_columns = params.scores.dim(1);
  const int64_t num_groups = params.out.dim(0);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  if (num_groups == 0) return;
  FASTKV_CHECK_EQ(params.scores.dim(0) % num_groups, 0);
  const int64_t size = params.scores.dim(0) / num_groups;
  context.ForRows(num_groups, num_columns * size, [&](int64_t begin, int64_t end, int) {
    for (int64_t g = begin; g < end; ++g) {
      float* out = Row(params.out, g);
      std::copy_n(Row(params.scores, g * size), num_columns, out);
      for (int64_t i = g * size + 1; i < (g + 1) * size; ++i) {
        if (params.kind == ReductionKind::kMax) {
          MaxTo(out, Row(params.scores, i), num_columns);
        } else {
          AddTo(out, Row(params.scores, i), num_columns);
        }
      }
      if (params.kind != ReductionKind::kMean) continue;
      for (int64_t j = 0; j < num_columns; ++j) out[j] /= static_cast<float>(size);
    }
  });
}

void SelectTopK(const Context& context, const SelectTopKParams& params) {
  const int64_t num_columns = params.scores.dim(1);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kI32);
  FASTKV_CHECK_LE(0, params.count);
  FASTKV_CHECK_LE(params.count, num_columns);
  FASTKV_CHECK_EQ(params.out.dim(0), params.scores.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), params.count + params.tail);
  context.ForRows(params.scores.dim(0), 4 * num_columns, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      int32_t* out = params.out.As<int32_t>() + i * params.out.stride(0);
      SelectFromRow(Row(params.scores, i), num_columns, params.count, out);
      for (int64_t t = 0; t < params.tail; ++t) {
        out[params.count + t] = static_cast<int32_t>(num_columns + t);
      }
    }
  });
}

}  // namespace fastkv::cpu
