// How much attention each entry receives from a block of rows whose softmax is known. A task owns a
// block of one KV head's entries, packs its keys once and lets all rows pass over them in order, so
// that every sum is one chain of additions whatever the number of threads.
#include <algorithm>
#include <array>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

class ColumnTask {
 public:
  ColumnTask(const ColumnScoresParams& params, int64_t kv_head, AttentionTile& tile)
      : params_(params),
        kv_head_(kv_head),
        group_size_(params.q.dim(1) / params.keys.dim(0)),
        tile_(tile) {}

  // Adds the probabilities of entries [begin, end).
  void Run(int64_t begin, int64_t end) {
    const int64_t offset = kv_head_ * params_.keys.stride(0) * DTypeBytes(params_.keys.dtype());
    block_ = {.keys = ConstTensorView(static_cast<const char*>(params_.keys.data()) + offset,
                                      params_.keys.dtype(), {end, params_.keys.dim(2)})
                          .WithStride(0, params_.keys.stride(1)),
              .values = {},
              .begin = begin,
              .end = end};
    tile_.PackKeys(block_);
    tile_.Clear();
    const int64_t q_len = params_.q.dim(0);
    // Earlier rows stand before the block.
    for (int64_t i = std::max<int64_t>(0, begin - params_.q_start); i < q_len; ++i) {
      const int64_t first_visible = FirstVisibleTo(i);
      if (first_visible >= end) break;  // the windows of all later rows begin behind the block
      for (int64_t h = kv_head_ * group_size_; h < (kv_head_ + 1) * group_size_; ++h) {
        AddRow(i, h, first_visible);
        if (tile_.num_rows() == tile_.blocks().max_rows) AddUp();
      }
    }
    AddUp();
  }

 private:
  int64_t FirstVisibleTo(int64_t row) const {
    if (params_.window == 0) return 0;
    const int64_t own_entry = params_.q_start + row;
    return FirstVisible(params_.positions, own_entry + 1, params_.positions[own_entry],
                        params_.window);
  }

  void AddRow(int64_t row, int64_t q_head, int64_t first_visible) {
    const int64_t r = tile_.num_rows();
    const int64_t offset = row * params_.q.stride(0) + q_head * params_.q.stride(1);
    tile_.AddRow(
        static_cast<const char*>(params_.q.data()) + offset * DTypeBytes(params_.q.dtype()),
        first_visible, params_.q_start + row + 1);
    log_sum_exps_[r] =
        params_.log_sum_exp.As<float>()[row * params_.log_sum_exp.stride(0) + q_head];
    weights_[r] = params_.row_weights.empty() ? 1.0f : params_.row_weights.As<float>()[row];
  }

  void AddUp() {
    std::array<float*, AttentionTile::kMaxRows> outs;
    outs.fill(params_.out.As<float>() + kv_head_ * params_.out.stride(0) + block_.begin);
    tile_.AddExponentials(block_, log_sum_exps_.data(), weights_.data(), outs.data());
    tile_.Clear();
  }

  const ColumnScoresParams& params_;
  int64_t kv_head_;
  int64_t group_size_;
  AttentionTile& tile_;
  KeyBlock block_;
  std::array<float, AttentionTile::kMaxRows> log_sum_exps_;
  std::array<float, AttentionTile::kMaxRows> weights_;
};

}  // namespace

void ColumnScores(const Context& context, const ColumnScoresParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  FASTKV_CHECK(params.q.dtype() == context.types().activation);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK(params.log_sum_exp.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.log_sum_exp.dim(0), q_len);
  FASTKV_CHECK_EQ(params.log_sum_exp.dim(1), num_q_heads);
  FASTKV_CHECK(params.row_weights.empty() || params.row_weights.dim(0) == q_len);
  FASTKV_CHECK_EQ(params.out.dim(0), num_kv_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), kv_len);
  FASTKV_CHECK(params.window == 0 || params.positions != nullptr);
  FASTKV_CHECK(params.window == 0 || params.q_start + q_len <= kv_len);

  const int64_t visible_len = std::min(kv_len, params.q_start + q_len);
  const int64_t num_keys = AttentionBlocks(head_dim).num_keys;
  const int64_t num_blocks = CeilDivide(visible_len, num_keys);
  // Early entries are seen by the most rows, so they go first.
  ParallelFor(context.num_threads(), num_blocks * num_kv_heads, [&](int64_t t, int thread) {
    const int64_t begin = t / num_kv_heads * num_keys;
    AttentionTile tile(context, head_dim, params.scale, thread);
    ColumnTask(params, t % num_kv_heads, tile).Run(begin, std::min(begin + num_keys, visible_len));
  });
}

}  // namespace fastkv::cpu
