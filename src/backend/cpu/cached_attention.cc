// Attention of new tokens over a cache: a unit of work is one sequence, one KV head and some of its
// rows. Its entries are cut into chunks whose length depends on their number alone, so that few
// heads still keep many cores busy; the chunks' results are then merged in order. The rows of a
// single token, as in decoding, read the entries as they are stored, at the speed of memory; those
// of several tokens go through packed blocks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "backend/cpu/weight_rows.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

// A chunk's results cost as much as a few entries: long enough not to notice them.
constexpr int64_t kMinChunkEntries = 1024;
constexpr int64_t kMaxChunks = 64;  // of a unit; bounds the memory for their results

// The frozen or the tail entries of one head.
struct Segment {
  ConstTensorView keys;                 // [num_entries, head_dim]
  ConstTensorView values;               // as keys
  const float* key_scales = nullptr;    // [num_entries], where they are in integers
  const float* value_scales = nullptr;  // as key_scales
  const int32_t* positions = nullptr;
  int64_t num_entries = 0;
};

struct Unit {
  const KvLayerView* layer = nullptr;
  int64_t first_q_row = 0;  // of the sequence, in q
  int64_t kv_head = 0;
  int64_t first_row = 0, num_rows = 0;  // of the q_len * group_size rows of the KV head
  Segment frozen, tail;
  int64_t chunk_entries = 0;
  int64_t num_frozen_chunks = 0, num_chunks = 0;
  float* results = nullptr;  // [num_chunks, num_rows, head_dim + 2]: values, maximum, sum
};

ConstTensorView Rows(const ConstTensorView& view, int64_t offset, int64_t row_stride,
                     int64_t num_rows, int64_t head_dim) {
  return ConstTensorView(static_cast<const char*>(view.data()) + offset * DTypeBytes(view.dtype()),
                         view.dtype(), {num_rows, head_dim})
      .WithStride(0, row_stride);
}

const void* RowData(const ConstTensorView& rows, int64_t row) {
  return static_cast<const char*>(rows.data()) + row * rows.stride(0) * DTypeBytes(rows.dtype());
}

const float* ScalesFrom(const float* scales, int64_t entry) {
  return scales == nullptr ? nullptr : scales + entry;
}

Segment FrozenEntries(const KvLayerView& layer, int64_t kv_head, int64_t head_dim) {
  if (layer.head_begin.empty() || layer.frozen_keys.empty()) return {};
  const int64_t begin = layer.head_begin[static_cast<size_t>(kv_head)];
  const int64_t count = layer.head_begin[static_cast<size_t>(kv_head) + 1] - begin;
  const auto rows = [&](const ConstTensorView& view) {
    return Rows(view, begin * view.stride(0), view.stride(0), count, head_dim);
  };
  return {.keys = rows(layer.frozen_keys),
          .values = rows(layer.frozen_values),
          .key_scales = ScalesFrom(layer.frozen_key_scales, begin),
          .value_scales = ScalesFrom(layer.frozen_value_scales, begin),
          .positions = layer.frozen_positions == nullptr ? nullptr : layer.frozen_positions + begin,
          .num_entries = count};
}

Segment TailEntries(const KvLayerView& layer, int64_t kv_head, int64_t head_dim) {
  if (layer.tail_keys.empty()) return {};
  const int64_t count = layer.tail_keys.dim(1);
  const auto rows = [&](const ConstTensorView& view) {
    return Rows(view, kv_head * view.stride(0), view.stride(1), count, head_dim);
  };
  return {.keys = rows(layer.tail_keys),
          .values = rows(layer.tail_values),
          .positions = layer.tail_positions,
          .num_entries = count};
}

class CachedAttentionRun {
 public:
  CachedAttentionRun(const Context& context, const CachedAttentionParams& params)
      : context_(context),
        params_(params),
        head_dim_(params.q.dim(2)),
        num_q_heads_(params.q.dim(1)),
        blocks_(head_dim_) {}

  // Units whose results fit the shared scratch go together.
  void Run() {
    int64_t used_floats = 0;
    for (size_t s = 0; s < params_.sequences.size(); ++s) {
      const KvLayerView& layer = params_.sequences[s];
      const int64_t num_kv_heads = NumKvHeads(layer);
      const int64_t num_rows = params_.q_len * (num_q_heads_ / num_kv_heads);
      for (int64_t a = 0; a < num_kv_heads; ++a) {
        for (int64_t first = 0; first < num_rows; first += blocks_.max_rows) {
          Unit unit = MakeUnit(layer, static_cast<int64_t>(s) * params_.q_len, a, first,
                               std::min(blocks_.max_rows, num_rows - first));
          const int64_t floats = unit.num_chunks * ChunkFloats(unit);
          if (used_floats + floats > Context::kSharedScratchFloats) {
            Flush();
            used_floats = 0;
          }
          unit.results = context_.SharedScratch() + used_floats;
          used_floats += floats;
          units_.push_back(unit);
        }
      }
    }
    Flush();
  }

 private:
  static int64_t NumKvHeads(const KvLayerView& layer) {
    return layer.head_begin.empty() ? layer.tail_keys.dim(0)
                                    : static_cast<int64_t>(layer.head_begin.size()) - 1;
  }
  int64_t ChunkFloats(const Unit& unit) const { return unit.num_rows * (head_dim_ + 2); }

  Unit MakeUnit(const KvLayerView& layer, int64_t first_q_row, int64_t kv_head, int64_t first_row,
                int64_t num_rows) const {
    Unit unit{.layer = &layer,
              .first_q_row = first_q_row,
              .kv_head = kv_head,
              .first_row = first_row,
              .num_rows = num_rows,
              .frozen = FrozenEntries(layer, kv_head, head_dim_),
              .tail = TailEntries(layer, kv_head, head_dim_)};
    // Two chunks may be cut short, one at the end of each segment.
    const int64_t num_entries = unit.frozen.num_entries + unit.tail.num_entries;
    unit.chunk_entries = std::max(
        kMinChunkEntries, RoundUp(CeilDivide(num_entries, kMaxChunks - 2), kMinChunkEntries));
    unit.num_frozen_chunks = CeilDivide(unit.frozen.num_entries, unit.chunk_entries);
    unit.num_chunks =
        unit.num_frozen_chunks + CeilDivide(unit.tail.num_entries, unit.chunk_entries);
    FASTKV_CHECK_LE(unit.num_chunks, kMaxChunks);
    return unit;
  }

  // Attends and merges the gathered units.
  void Flush() {
    struct Task {
      const Unit* unit;
      int64_t chunk;
    };
    std::vector<Task> tasks;
    for (const Unit& unit : units_) {
      for (int64_t c = 0; c < unit.num_chunks; ++c) tasks.push_back({&unit, c});
    }
    ParallelFor(context_.num_threads(), static_cast<int64_t>(tasks.size()),
                [&](int64_t t, int thread) {
                  const Task& task = tasks[static_cast<size_t>(t)];
                  AttendChunk(*task.unit, task.chunk, thread);
                });
    context_.ForRows(static_cast<int64_t>(units_.size()), MergeCost(),
                     [&](int64_t begin, int64_t end, int thread) {
                       for (int64_t u = begin; u < end; ++u) {
                         Merge(units_[static_cast<size_t>(u)], context_.ThreadScratch(thread));
                       }
                     });
    units_.clear();
  }

  int64_t GroupSize(const Unit& unit) const { return num_q_heads_ / NumKvHeads(*unit.layer); }
  // Elements that the merging of a unit touches.
  int64_t MergeCost() const {
    int64_t most = 0;
    for (const Unit& unit : units_) {
      most = std::max(most, unit.num_rows * unit.num_chunks * head_dim_);
    }
    return most;
  }

  void AttendChunk(const Unit& unit, int64_t chunk, int thread) const {
    const bool is_tail = chunk >= unit.num_frozen_chunks;
    const Segment& segment = is_tail ? unit.tail : unit.frozen;
    const int64_t index = is_tail ? chunk - unit.num_frozen_chunks : chunk;
    const int64_t begin = index * unit.chunk_entries;
    const int64_t end = std::min(begin + unit.chunk_entries, segment.num_entries);
    float* const results = unit.results + chunk * ChunkFloats(unit);
    if (params_.q_len == 1) {
      StreamEntries(unit, segment, begin, end, context_.ThreadScratch(thread), results);
    } else {
      AttendInBlocks(unit, segment, is_tail, begin, end, thread, results);
    }
  }

  // The rows of one token, which all see the same of entries [begin, end).
  void StreamEntries(const Unit& unit, const Segment& segment, int64_t begin, int64_t end,
                     float* scratch, float* results) const {
    const Kernels& kernels = context_.kernels();
    const DType act = params_.q.dtype();
    const int64_t stride = blocks_.padded_dim;
    const int64_t padded_rows = RoundUp(unit.num_rows, kEntryRowsTogether);
    float* const padded = scratch;
    float* const queries = padded + stride;
    float* const weighted = queries + padded_rows * stride;
    std::fill_n(padded, stride, 0.0f);
    std::fill_n(queries, padded_rows * stride, 0.0f);
    for (int64_t r = 0; r < unit.num_rows; ++r) {
      const int64_t h = unit.kv_head * GroupSize(unit) + unit.first_row + r;
      const int64_t offset = unit.first_q_row * params_.q.stride(0) + h * params_.q.stride(1);
      std::memcpy(padded, static_cast<const char*>(params_.q.data()) + offset * DTypeBytes(act),
                  static_cast<size_t>(head_dim_ * DTypeBytes(act)));
      const DType type = segment.keys.dtype() == DType::kI8 ? DType::kF32 : segment.keys.dtype();
      kernels.weight(FormatOf(type)).prepare_input(padded, act, stride, queries + r * stride);
    }
    const int64_t first = std::max(begin, FirstVisibleEntry(unit, segment, segment.num_entries, 0));
    kernels.attend_entries({.queries = queries,
                            .query_stride = stride,
                            .queries_are_bf16 = act == DType::kBF16,
                            .num_rows = unit.num_rows,
                            .type = segment.keys.dtype(),
                            .keys = RowData(segment.keys, first),
                            .values = RowData(segment.values, first),
                            .key_scales = ScalesFrom(segment.key_scales, first),
                            .value_scales = ScalesFrom(segment.value_scales, first),
                            .key_stride = segment.keys.stride(0),
                            .value_stride = segment.values.stride(0),
                            .num_entries = std::max<int64_t>(0, end - first),
                            .head_dim = head_dim_,
                            .scale = params_.scale,
                            .weighted = weighted,
                            .state = weighted + padded_rows * stride,
                            .out = results,
                            .out_stride = head_dim_ + 2});
  }

  void AttendInBlocks(const Unit& unit, const Segment& segment, bool is_tail, int64_t begin,
                      int64_t end, int thread, float* result) const {
    AttentionTile tile(context_, head_dim_, params_.scale, thread);
    AddRows(unit, segment, is_tail, tile);
    const int64_t first =
        std::max(begin, tile.visible_begin() / blocks_.num_keys * blocks_.num_keys);
    const int64_t last = std::min(end, tile.visible_end());
    for (int64_t key = first; key < last; key += blocks_.num_keys) {
      tile.Attend({.keys = segment.keys,
                   .values = segment.values,
                   .key_scales = segment.key_scales,
                   .value_scales = segment.value_scales,
                   .begin = key,
                   .end = std::min(key + blocks_.num_keys, last)});
    }
    for (int64_t r = 0; r < unit.num_rows; ++r, result += head_dim_ + 2) {
      std::copy_n(tile.weighted_values(r), head_dim_, result);
      result[head_dim_] = tile.max(r);
      result[head_dim_ + 1] = tile.sum(r);
    }
  }

  // The first of `segment`'s entries before `end` that a row sees which has `num_later` rows behind
  // it.
  int64_t FirstVisibleEntry(const Unit& unit, const Segment& segment, int64_t end,
                            int64_t num_later) const {
    if (params_.window == 0) return 0;
    const int32_t position = unit.tail.positions[unit.tail.num_entries - 1 - num_later];
    return FirstVisible(segment.positions, end, position, params_.window);
  }

  void AddRows(const Unit& unit, const Segment& segment, bool is_tail, AttentionTile& tile) const {
    const int64_t group_size = GroupSize(unit);
    const ConstTensorView& q = params_.q;
    for (int64_t r = unit.first_row; r < unit.first_row + unit.num_rows; ++r) {
      const int64_t i = r / group_size;
      // The rows after this one have their entries at the end of the tail.
      const int64_t num_later = unit.tail.num_entries == 0 ? 0 : params_.q_len - 1 - i;
      const int64_t end = segment.num_entries - (is_tail ? num_later : 0);
      const int64_t h = unit.kv_head * group_size + r % group_size;
      const int64_t offset = (unit.first_q_row + i) * q.stride(0) + h * q.stride(1);
      tile.AddRow(static_cast<const char*>(q.data()) + offset * DTypeBytes(q.dtype()),
                  FirstVisibleEntry(unit, segment, end, num_later), end);
    }
  }

  // sums of values, maxima and sums of the chunks -> rows of out. `row`: scratch of head_dim
  // floats.
  void Merge(const Unit& unit, float* row) const {
    const int64_t group_size = GroupSize(unit);
    for (int64_t r = 0; r < unit.num_rows; ++r) {
      const auto result = [&](int64_t chunk) {
        return unit.results + chunk * ChunkFloats(unit) + r * (head_dim_ + 2);
      };
      float max = -std::numeric_limits<float>::infinity();
      for (int64_t c = 0; c < unit.num_chunks; ++c) max = std::max(max, result(c)[head_dim_]);
      float sum = 0;
      std::fill_n(row, head_dim_, 0.0f);
      for (int64_t c = 0; c < unit.num_chunks; ++c) {
        const float* values = result(c);
        if (!(values[head_dim_ + 1] > 0)) continue;
        const float factor = std::exp(values[head_dim_] - max);
        sum += values[head_dim_ + 1] * factor;
        context_.kernels().add_scaled_row(values, head_dim_, factor, row);
      }
      context_.kernels().scale_row(row, head_dim_, sum > 0 ? 1.0f / sum : 0.0f);
      const int64_t h = unit.kv_head * group_size + (unit.first_row + r) % group_size;
      const int64_t i = unit.first_q_row + (unit.first_row + r) / group_size;
      if (!params_.log_sum_exp.empty()) {
        params_.log_sum_exp.As<float>()[i * params_.log_sum_exp.stride(0) + h] =
            max + std::log(sum);
      }
      const int64_t offset = i * params_.out.stride(0) + h * head_dim_;
      if (params_.out.dtype() == DType::kF32) {
        std::copy_n(row, head_dim_, params_.out.As<float>() + offset);
      } else {
        FloatsToBFloat16(row, params_.out.As<BFloat16>() + offset, head_dim_);
      }
    }
  }

  const Context& context_;
  const CachedAttentionParams& params_;
  int64_t head_dim_;
  int64_t num_q_heads_;
  AttentionBlocks blocks_;
  std::vector<Unit> units_;
};

}  // namespace

void CachedAttention(const Context& context, const CachedAttentionParams& params) {
  FASTKV_CHECK(params.q.dtype() == context.types().activation);
  FASTKV_CHECK(params.out.dtype() == context.types().activation);
  FASTKV_CHECK_EQ(params.q.dim(0), params.q_len * static_cast<int64_t>(params.sequences.size()));
  FASTKV_CHECK_EQ(params.out.dim(1), params.q.dim(1) * params.q.dim(2));
  CachedAttentionRun(context, params).Run();
}

}  // namespace fastkv::cpu
