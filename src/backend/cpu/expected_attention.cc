// The attention that queries of a given mean and covariance are expected to pay to each entry. The
// exponents of as many query heads as fit are held at once; where even one head's do not, they are
// computed twice, a segment of the entries after the other.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/limits.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();
constexpr int64_t kBlockFloats = 40 * 1024;  // of packed keys, and of their products

struct HeadRange {
  int64_t begin = 0, end = 0;  // query heads
};
struct EntryRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

const void* RowData(const ConstTensorView& view, int64_t head, int64_t entry) {
  const int64_t offset = head * view.stride(0) + entry * view.stride(1);
  return static_cast<const char*>(view.data()) + offset * DTypeBytes(view.dtype());
}

class ExpectedAttention {
 public:
  ExpectedAttention(const Context& context, const ExpectedAttentionScoresParams& params)
      : context_(context),
        params_(params),
        kv_len_(params.keys.dim(1)),
        head_dim_(params.keys.dim(2)),
        num_sinks_(std::min(params.num_sinks, kv_len_)),
        group_size_(params.mean.dim(0) / params.keys.dim(0)) {
    states_ = context.SharedScratch();
    exponents_ = states_ + 2 * params.mean.dim(0);
  }

  void Run() {
    for (int64_t a = 0; a < params_.keys.dim(0); ++a) {
      std::fill_n(Out(a), num_sinks_, std::numeric_limits<float>::max());
    }
    const int64_t num_q_heads = params_.mean.dim(0);
    const int64_t num_columns = kv_len_ - num_sinks_;
    if (num_columns == 0) return;
    const int64_t capacity = Context::kSharedScratchFloats - (exponents_ - states_);
    int64_t num_heads = std::clamp<int64_t>(capacity / num_columns, 1, num_q_heads);
    // Whole groups, where one fits: values are then read once.
    if (num_heads > group_size_) num_heads = num_heads / group_size_ * group_size_;
    segment_ = std::min(num_columns, capacity);
    for (int64_t first = 0; first < num_q_heads; first += num_heads) {
      ScoreHeads({first, std::min(first + num_heads, num_q_heads)});
    }
  }

 private:
  float* Out(int64_t kv_head) const {
    return params_.out.As<float>() + kv_head * params_.out.stride(0);
  }
  // Of a query head of the range: its exponents in the current segment, and its softmax so far.
  float* Exponents(const HeadRange& heads, int64_t h) const {
    return exponents_ + (h - heads.begin) * segment_;
  }
  float& Max(int64_t h) const { return states_[2 * h]; }
  float& Sum(int64_t h) const { return states_[2 * h + 1]; }

  void ScoreHeads(const HeadRange& heads) const {
    for (int64_t h = heads.begin; h < heads.end; ++h) {
      Max(h) = kNegativeInfinity;
      Sum(h) = 0;
    }
    const bool fits = segment_ == kv_len_ - num_sinks_;
    for (int64_t begin = num_sinks_; begin < kv_len_; begin += segment_) {
      const EntryRange entries{begin, std::min(begin + segment_, kv_len_)};
      FindExponents(heads, entries);
      ParallelFor(context_.num_threads(), heads.end - heads.begin,
                  [&](int64_t i, int) { UpdateSoftmax(heads, heads.begin + i, entries.size()); });
    }
    for (int64_t begin = num_sinks_; begin < kv_len_; begin += segment_) {
      const EntryRange entries{begin, std::min(begin + segment_, kv_len_)};
      if (!fits) FindExponents(heads, entries);
      AddProbabilities(heads, entries);
    }
  }

  // Blocks of keys are packed once for the query heads of a group.
  void FindExponents(const HeadRange& heads, const EntryRange& entries) const {
    const int64_t first_group = heads.begin / group_size_;
    const int64_t num_groups = CeilDivide(heads.end, group_size_) - first_group;
    const int64_t num_keys = AttentionBlocks(head_dim_).num_keys;
    const int64_t num_blocks = CeilDivide(entries.size(), num_keys);
    ParallelFor(context_.num_threads(), num_groups * num_blocks, [&](int64_t t, int thread) {
      const int64_t kv_head = first_group + t / num_blocks;
      const int64_t begin = t % num_blocks * num_keys;  // in the segment
      const int64_t count = std::min(num_keys, entries.size() - begin);
      const Kernels& kernels = context_.kernels();
      float* const keys = context_.ThreadScratch(thread);
      float* const products = keys + kBlockFloats;
      float* const forms = products + kBlockFloats;
      FASTKV_CHECK_LE(num_keys * RoundUp(head_dim_, kernels.panel_width), kBlockFloats);
      kernels.pack_transposed(RowData(params_.keys, kv_head, entries.begin + begin),
                              params_.keys.dtype(), params_.keys.stride(1), count, head_dim_, keys);
      const int64_t num_panels = CeilDivide(count, kernels.panel_width);
      for (int64_t h = std::max(heads.begin, kv_head * group_size_);
           h < std::min(heads.end, (kv_head + 1) * group_size_); ++h) {
        kernels.gemm({.a = params_.covariance.As<float>() + h * params_.covariance.stride(0),
                      .a_stride = params_.covariance.stride(1),
                      .b_panels = keys,
                      .b_panel_stride = head_dim_ * kernels.panel_width,
                      .num_rows = head_dim_,
                      .num_panels = num_panels,
                      .depth = head_dim_,
                      .c = products,
                      .c_stride = num_keys,
                      .accumulate = false});
        kernels.quadratic_forms({.x_panels = keys,
                                 .mx = products,
                                 .mx_stride = num_keys,
                                 .linear = params_.mean.As<float>() + h * params_.mean.stride(0),
                                 .linear_factor = params_.scale,
                                 .quadratic_factor = params_.scale * params_.scale / 2,
                                 .depth = head_dim_,
                                 .num_panels = num_panels,
                                 .out = forms});
        std::copy_n(forms, count, Exponents(heads, h) + begin);
      }
    });
  }

  void UpdateSoftmax(const HeadRange& heads, int64_t h, int64_t count) const {
    constexpr int64_t kSumBlock = 4096;
    const float* const exponents = Exponents(heads, h);
    const float segment_max = MaxOrNan(exponents, count);
    const float max = Max(h) > segment_max ? Max(h) : segment_max;
    double sum = Sum(h) * std::exp(double{Max(h)} - max);
    for (int64_t j = 0; j < count; j += kSumBlock) {
      sum += SumOfExponentials(exponents + j, max, std::min(kSumBlock, count - j));
    }
    Max(h) = max;
    Sum(h) = static_cast<float>(sum);
  }

  // out = (out where heads of the group came before) + probabilities / group size * ||value||.
  void AddProbabilities(const HeadRange& heads, const EntryRange& entries) const {
    constexpr int64_t kTaskEntries = 512;
    const int64_t first_group = heads.begin / group_size_;
    const int64_t num_groups = CeilDivide(heads.end, group_size_) - first_group;
    const int64_t num_blocks = CeilDivide(entries.size(), kTaskEntries);
    ParallelFor(context_.num_threads(), num_groups * num_blocks, [&](int64_t t, int thread) {
      const int64_t kv_head = first_group + t / num_blocks;
      const int64_t begin = t % num_blocks * kTaskEntries;
      const int64_t count = std::min(kTaskEntries, entries.size() - begin);
      const int64_t first_head = std::max(heads.begin, kv_head * group_size_);
      const int64_t end_head = std::min(heads.end, (kv_head + 1) * group_size_);
      float* const sums = context_.ThreadScratch(thread);
      float* const value = sums + kTaskEntries;
      std::fill_n(sums, count, 0.0f);
      for (int64_t h = first_head; h < end_head; ++h) {
        context_.kernels().add_exponentials(Exponents(heads, h) + begin, count, 1, Max(h),
                                            1 / (Sum(h) * static_cast<float>(group_size_)), sums);
      }
      float* const out = Out(kv_head) + entries.begin + begin;
      for (int64_t j = 0; j < count; ++j) {
        context_.kernels().expand_rows(RowData(params_.values, kv_head, entries.begin + begin + j),
                                       params_.values.dtype(), head_dim_, 1, head_dim_, value,
                                       head_dim_);
        const float score = sums[j] * std::sqrt(SumOfSquares(value, head_dim_));
        out[j] = first_head == kv_head * group_size_ ? score : out[j] + score;
      }
    });
  }

  const Context& context_;
  const ExpectedAttentionScoresParams& params_;
  int64_t kv_len_;
  int64_t head_dim_;
  int64_t num_sinks_;
  int64_t group_size_;
  int64_t segment_ = 0;  // entries whose exponents are held
  float* states_;        // [num_q_heads, 2]: maximum, sum
  float* exponents_;     // [heads of a range, segment]
};

}  // namespace

void ExpectedAttentionScores(const Context& context, const ExpectedAttentionScoresParams& params) {
  const int64_t num_q_heads = params.mean.dim(0);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t head_dim = params.keys.dim(2);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.values.dtype() == context.types().kv);
  FASTKV_CHECK(params.mean.dtype() == DType::kF32);
  FASTKV_CHECK(params.covariance.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_LE(head_dim, limits::kMaxHeadDim);
  FASTKV_CHECK_LE(0, params.num_sinks);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.mean.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.covariance.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.covariance.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.covariance.dim(2), head_dim);
  FASTKV_CHECK_EQ(params.values.dim(1), params.keys.dim(1));
  FASTKV_CHECK_EQ(params.out.dim(0), num_kv_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), params.keys.dim(1));
  ExpectedAttention(context, params).Run();
}

}  // namespace fastkv::cpu
