#include "backend/cpu/attention_tile.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/checked_math.h"

namespace fastkv::cpu {
namespace {

constexpr int64_t kRowFloats = 24 * 1024;  // of queries, and of weighted values
constexpr int64_t kKeyFloats = 32 * 1024;  // of packed keys, and of packed values
constexpr int64_t kMaxKeys = 256;
constexpr int64_t kPanelMultiple = 32;  // a multiple of every level's panel width
constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

}  // namespace

AttentionBlocks::AttentionBlocks(int64_t head_dim)
    : padded_dim(RoundUp(head_dim, kPanelMultiple)),
      max_rows(std::min(AttentionTile::kMaxRows, kRowFloats / padded_dim)),
      num_keys(std::min(kMaxKeys, kKeyFloats / padded_dim / kPanelMultiple * kPanelMultiple)) {
  FASTKV_CHECK_LT(0, max_rows);
  FASTKV_CHECK_LT(0, num_keys);
}

AttentionTile::AttentionTile(const Context& context, int64_t head_dim, float scale, int thread)
    : kernels_(context.kernels()),
      blocks_(head_dim),
      activation_(context.types().activation),
      head_dim_(head_dim),
      scale_(scale) {
  static_assert(2 * kRowFloats + 3 * kKeyFloats + kScoreRows * kMaxKeys <=
                Context::kThreadScratchFloats);
  queries_ = context.ThreadScratch(thread);
  weighted_ = queries_ + kRowFloats;
  keys_ = weighted_ + kRowFloats;
  values_ = keys_ + kKeyFloats;
  scores_ = values_ + kKeyFloats;
  expanded_ = scores_ + kScoreRows * kMaxKeys;
}

void AttentionTile::AddRow(const void* q, int64_t begin, int64_t end) {
  FASTKV_CHECK_LT(num_rows_, blocks_.max_rows);
  const int64_t r = num_rows_++;
  kernels_.expand_rows(q, activation_, head_dim_, 1, head_dim_, queries_ + r * head_dim_,
                       head_dim_);
  std::fill_n(weighted_values(r), blocks_.padded_dim, 0.0f);
  begin_[r] = begin;
  end_[r] = end;
  max_[r] = kNegativeInfinity;
  sum_[r] = 0;
}

int64_t AttentionTile::visible_begin() const {
  return *std::min_element(begin_.begin(), begin_.begin() + num_rows_);
}
int64_t AttentionTile::visible_end() const {
  return *std::max_element(end_.begin(), end_.begin() + num_rows_);
}

AttentionTile::RowRange AttentionTile::Visible(const KeyBlock& block, int64_t begin) const {
  RowRange rows{.begin = begin, .end = std::min(begin + kScoreRows, num_rows_)};
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const int64_t end = std::min(end_[r], block.end);
    if (std::max(begin_[r], block.begin) < end) {
      rows.num_columns = std::max(rows.num_columns, end - block.begin);
    }
  }
  return rows;
}

ConstTensorView AttentionTile::PackableRows(const ConstTensorView& rows, const float* scales,
                                            const KeyBlock& block) const {
  const ConstTensorView of_block = rows.Rows(block.begin, block.end);
  if (scales == nullptr) return of_block;
  const int64_t count = block.end - block.begin;
  for (int64_t i = 0; i < count; ++i) {
    ScaledInt8ToFloats(of_block.As<int8_t>() + i * rows.stride(0), scales[block.begin + i],
                       head_dim_, expanded_ + i * head_dim_);
  }
  return {expanded_, DType::kF32, {count, head_dim_}};
}

void AttentionTile::PackKeys(const KeyBlock& block) {
  FASTKV_CHECK_LE(block.end - block.begin, blocks_.num_keys);
  const ConstTensorView keys = PackableRows(block.keys, block.key_scales, block);
  kernels_.pack_transposed(keys.data(), keys.dtype(), keys.stride(0), block.end - block.begin,
                           head_dim_, keys_);
}

void AttentionTile::Score(const RowRange& rows, int64_t num_columns) {
  kernels_.gemm({.a = queries_ + rows.begin * head_dim_,
                 .a_stride = head_dim_,
                 .b_panels = keys_,
                 .b_panel_stride = head_dim_ * kernels_.panel_width,
                 .num_rows = rows.end - rows.begin,
                 .num_panels = CeilDivide(num_columns, kernels_.panel_width),
                 .depth = head_dim_,
                 .c = scores_,
                 .c_stride = blocks_.num_keys,
                 .accumulate = false});
}

void AttentionTile::Attend(const KeyBlock& block) {
  PackKeys(block);
  const int64_t num_keys = block.end - block.begin;
  if (!block.values.empty()) {
    const ConstTensorView values = PackableRows(block.values, block.value_scales, block);
    kernels_.pack_panels(values.data(), values.dtype(), values.stride(0), head_dim_, num_keys,
                         values_);
  }
  for (int64_t first = 0; first < num_rows_; first += kScoreRows) {
    const RowRange rows = Visible(block, first);
    if (rows.num_columns == 0) continue;
    Score(rows, rows.num_columns);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const float rescale =
          kernels_.softmax_step({.scores = scores_ + (r - rows.begin) * blocks_.num_keys,
                                 .num_columns = RoundUp(rows.num_columns, kernels_.panel_width),
                                 .begin = std::max<int64_t>(0, begin_[r] - block.begin),
                                 .end = std::min(end_[r] - block.begin, num_keys),
                                 .scale = scale_,
                                 .max = &max_[r],
                                 .sum = &sum_[r]});
      if (rescale != 1.0f) kernels_.scale_row(weighted_values(r), head_dim_, rescale);
    }
    if (block.values.empty()) continue;
    kernels_.gemm({.a = scores_,
                   .a_stride = blocks_.num_keys,
                   .b_panels = values_,
                   .b_panel_stride = num_keys * kernels_.panel_width,
                   .num_rows = rows.end - rows.begin,
                   .num_panels = CeilDivide(head_dim_, kernels_.panel_width),
                   .depth = rows.num_columns,
                   .c = weighted_values(rows.begin),
                   .c_stride = blocks_.padded_dim,
                   .accumulate = true});
  }
}

void AttentionTile::AddProbabilities(const KeyBlock& block, int64_t limit, float* const* outs) {
  PackKeys(block);
  std::array<float, kMaxRows> factors;
  for (int64_t r = 0; r < num_rows_; ++r) factors[r] = 1.0f / sum_[r];
  KeyBlock columns = block;
  columns.end = std::min(block.end, limit);
  AddExponentials(columns, max_.data(), factors.data(), outs);
}

void AttentionTile::AddExponentials(const KeyBlock& block, const float* log_sum_exps,
                                    const float* factors, float* const* outs) {
  for (int64_t first = 0; first < num_rows_; first += kScoreRows) {
    const RowRange rows = Visible(block, first);
    if (rows.num_columns == 0) continue;
    Score(rows, rows.num_columns);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t begin = std::max<int64_t>(0, begin_[r] - block.begin);
      const int64_t end = std::min(end_[r], block.end) - block.begin;
      if (begin >= end) continue;
      kernels_.add_exponentials(scores_ + (r - rows.begin) * blocks_.num_keys + begin, end - begin,
                                scale_, log_sum_exps[r], factors[r], outs[r] + begin);
    }
  }
}

void AttentionTile::StoreRow(int64_t r, void* out) {
  float* row = weighted_values(r);
  kernels_.scale_row(row, head_dim_, sum_[r] > 0 ? 1.0f / sum_[r] : 0.0f);
  if (activation_ == DType::kF32) {
    std::copy_n(row, head_dim_, static_cast<float*>(out));
  } else {
    FloatsToBFloat16(row, static_cast<BFloat16*>(out), head_dim_);
  }
}

float AttentionTile::LogSumExp(int64_t r) const { return max_[r] + std::log(sum_[r]); }

int64_t FirstVisible(const int32_t* positions, int64_t count, int64_t position, int64_t window) {
  if (window <= 0) return 0;
  return std::upper_bound(positions, positions + count, position - window,
                          [](int64_t bound, int32_t p) { return bound < p; }) -
         positions;
}

}  // namespace fastkv::cpu
