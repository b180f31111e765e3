#include "backend/cpu/pair_attention_tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/float16.h"

namespace fastkv::cpu {
namespace {

constexpr int64_t kWidestPanel = 32;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Floats of scratch that do not depend on the rows: scores, probabilities, keys and values.
int64_t BlockFloats(int64_t depth) { return kPairKeys * (kWidestPanel * 3 / 2 + depth); }

const uint16_t* RowData(const ConstTensorView& view, int64_t row) {
  return static_cast<const uint16_t*>(view.data()) + row * view.stride(0);
}

}  // namespace

int64_t PairAttentionTile::MaxRows(int64_t head_dim) {
  const int64_t depth = RoundUp(head_dim, kPairDepth);
  const int64_t row_floats = depth / 2 + depth + 2;
  const int64_t rows = (Context::kThreadScratchFloats - BlockFloats(depth)) / row_floats;
  return std::min(kMaxRows, rows / kWidestPanel * kWidestPanel);
}

int64_t PairAttentionTile::PackedValues(int64_t head_dim) {
  return RoundUp(head_dim, kPairDepth) * kPairKeys;
}

PairAttentionTile::PairAttentionTile(const Context& context, int64_t head_dim, float scale,
                                     int thread)
    : kernels_(context.kernels()),
      head_dim_(head_dim),
      depth_(RoundUp(head_dim, kPairDepth)),
      scale_(scale * std::numbers::log2e_v<float>) {
  FASTKV_CHECK_LE(head_dim, kMaxHeadDim);
  FASTKV_CHECK_EQ(kWidestPanel % kernels_.panel_width, 0);
  const int64_t max_rows = MaxRows(head_dim);
  float* scratch = context.ThreadScratch(thread);
  const auto take = [&scratch](int64_t floats) {
    float* taken = scratch;
    scratch += floats;
    return taken;
  };
  weighted_ = take(max_rows * depth_);
  queries_ = reinterpret_cast<uint32_t*>(take(max_rows * depth_ / 2));
  reference_ = take(max_rows);
  sum_ = take(max_rows);
  scores_ = take(kPairKeys * kWidestPanel);
  probabilities_ = reinterpret_cast<uint32_t*>(take(kPairKeys / 2 * kWidestPanel));
  keys_ = reinterpret_cast<uint16_t*>(take(kPairKeys * depth_ / 2));
  values_ = reinterpret_cast<uint16_t*>(take(kPairKeys * depth_ / 2));
}

void PairAttentionTile::AddRow(const void* q, int64_t begin, int64_t end) {
  FASTKV_CHECK_LT(num_rows_, MaxRows(head_dim_));
  FASTKV_CHECK_LE(end, std::numeric_limits<int32_t>::max());
  const size_t row_bytes = static_cast<size_t>(head_dim_) * sizeof(BFloat16);
  std::memcpy(reinterpret_cast<char*>(weighted_) + static_cast<size_t>(num_rows_) * row_bytes, q,
              row_bytes);
  begin_[static_cast<size_t>(num_rows_)] = static_cast<int32_t>(begin);
  end_[static_cast<size_t>(num_rows_)] = static_cast<int32_t>(end);
  ++num_rows_;
}

int64_t PairAttentionTile::visible_begin() const {
  return *std::min_element(begin_.begin(), begin_.begin() + num_rows_);
}
int64_t PairAttentionTile::visible_end() const {
  return *std::max_element(end_.begin(), end_.begin() + num_rows_);
}

void PairAttentionTile::PackQueries() {
  num_panels_ = CeilDivide(num_rows_, kernels_.panel_width);
  const int64_t num_lanes = num_panels_ * kernels_.panel_width;
  kernels_.pack_pairs(weighted_, head_dim_ * DTypeBytes(DType::kBF16), num_rows_, head_dim_,
                      queries_);
  // Lanes behind the rows repeat the last one.
  std::fill(begin_.begin() + num_rows_, begin_.begin() + num_lanes, begin_[num_rows_ - 1]);
  std::fill(end_.begin() + num_rows_, end_.begin() + num_lanes, end_[num_rows_ - 1]);
  std::fill_n(weighted_, num_lanes * depth_, 0.0f);
  std::fill_n(reference_, num_lanes, -kInfinity);
  std::fill_n(sum_, num_lanes, 0.0f);
}

const uint16_t* PairAttentionTile::Keys(const KeyBlock& block, int64_t* stride) {
  const int64_t num_keys = block.end - block.begin;
  const int64_t read_end = block.begin + RoundUp(num_keys, kPairRows);
  if (head_dim_ == depth_ && read_end <= block.keys.dim(0)) {
    *stride = block.keys.stride(0);
    return RowData(block.keys, block.begin);
  }
  *stride = depth_;
  std::fill_n(keys_, RoundUp(num_keys, kPairRows) * depth_, uint16_t{0});
  for (int64_t j = 0; j < num_keys; ++j) {
    std::copy_n(RowData(block.keys, block.begin + j), head_dim_, keys_ + j * depth_);
  }
  return keys_;
}

void PairAttentionTile::Attend(const KeyBlock& block, const uint16_t* packed) {
  FASTKV_CHECK_EQ(block.begin % kPairKeys, 0);
  FASTKV_CHECK_LE(block.end - block.begin, kPairKeys);
  if (num_panels_ == 0) PackQueries();
  if (packed == nullptr) {
    kernels_.pack_value_pairs(RowData(block.values, block.begin), block.values.stride(0),
                              block.end - block.begin, head_dim_, values_);
    packed = values_;
  }
  int64_t key_stride = 0;
  const uint16_t* keys = Keys(block, &key_stride);
  kernels_.attend_pairs({.keys = keys,
                         .key_stride = key_stride,
                         .values = packed,
                         .first_entry = block.begin,
                         .num_keys = block.end - block.begin,
                         .depth = depth_,
                         .num_panels = num_panels_,
                         .queries = queries_,
                         .begin = begin_.data(),
                         .end = end_.data(),
                         .scale = scale_,
                         .weighted = weighted_,
                         .reference = reference_,
                         .sum = sum_,
                         .scores = scores_,
                         .probabilities = probabilities_});
}

void PairAttentionTile::Finish() {
  const int64_t width = kernels_.panel_width;
  float* const turned = reinterpret_cast<float*>(keys_);  // [columns / width, lanes, width]
  for (int64_t panel = 0; panel < num_panels_; ++panel) {
    float* const lanes = weighted_ + panel * width * depth_;
    kernels_.pack_transposed(lanes, DType::kF32, width, depth_, width, turned);
    for (int64_t lane = 0; lane < width; ++lane) {
      for (int64_t c = 0; c < depth_; c += width) {
        std::copy_n(turned + c * width + lane * width, width, lanes + lane * depth_ + c);
      }
    }
  }
}

void PairAttentionTile::StoreRow(int64_t r, void* out) {
  float* row = weighted_ + r * depth_;
  kernels_.scale_row(row, head_dim_, 1.0f / sum_[r]);
  FloatsToBFloat16(row, static_cast<BFloat16*>(out), head_dim_);
}

float PairAttentionTile::LogSumExp(int64_t r) const {
  return (reference_[r] + std::log2(sum_[r])) * std::numbers::ln2_v<float>;
}

}  // namespace fastkv::cpu
