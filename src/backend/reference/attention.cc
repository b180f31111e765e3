// Attention while prefilling, over a cache, and the scores of the last rows.
#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/softmax.h"

namespace fastkv::reference {
namespace {

// Appends the entries of one head of `keys` and `values`, [num_kv_heads, len, head_dim]; the values
// may be empty.
void AppendRows(const ConstTensorView& keys, const ConstTensorView& values, int64_t head,
                HeadEntries& entries) {
  for (int64_t j = 0; j < keys.dim(1); ++j) {
    entries.keys.push_back(LoadRow(keys, head, j));
    if (!values.empty()) entries.values.push_back(LoadRow(values, head, j));
  }
}

void AppendPositions(const int32_t* positions, int64_t count, HeadEntries& entries) {
  entries.positions.insert(entries.positions.end(), positions, positions + count);
}

// A frozen entry's key or value; `scales` is null where it is not in integers.
std::vector<double> FrozenRow(const ConstTensorView& rows, const float* scales, int64_t entry) {
  std::vector<double> row = LoadRow(rows, entry);
  if (scales == nullptr) return row;
  for (double& value : row) value *= scales[entry];
  return row;
}

// The entries of one head of a cached sequence: its frozen ones, then the tail.
HeadEntries CachedHead(const KvLayerView& layer, int64_t head, bool with_positions) {
  HeadEntries entries;
  if (!layer.frozen_keys.empty()) {
    const int64_t begin = layer.head_begin[head];
    const int64_t end = layer.head_begin[head + 1];
    for (int64_t j = begin; j < end; ++j) {
      entries.keys.push_back(FrozenRow(layer.frozen_keys, layer.frozen_key_scales, j));
      entries.values.push_back(FrozenRow(layer.frozen_values, layer.frozen_value_scales, j));
    }
    if (with_positions) AppendPositions(layer.frozen_positions + begin, end - begin, entries);
  }
  if (!layer.tail_keys.empty()) {
    AppendRows(layer.tail_keys, layer.tail_values, head, entries);
    if (with_positions) AppendPositions(layer.tail_positions, layer.tail_keys.dim(1), entries);
  }
  return entries;
}

int64_t NumKvHeads(const KvLayerView& layer) {
  if (!layer.tail_keys.empty()) return layer.tail_keys.dim(0);
  return static_cast<int64_t>(layer.head_begin.size()) - 1;
}

}  // namespace

void ReferenceBackend::PrefillAttention(const PrefillAttentionParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  FASTKV_CHECK(params.q.dtype() == types_.activation);
  FASTKV_CHECK(params.out.dtype() == types_.activation);
  FASTKV_CHECK(params.keys.dtype() == types_.kv);
  FASTKV_CHECK(params.values.dtype() == types_.kv);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_LE(params.q_start + q_len, kv_len);
  FASTKV_CHECK_EQ(params.out.dim(1), num_q_heads * head_dim);
  const int64_t group_size = num_q_heads / num_kv_heads;

  for (int64_t a = 0; a < num_kv_heads; ++a) {
    HeadEntries entries;
    AppendRows(params.keys, params.values, a, entries);
    if (params.window > 0) AppendPositions(params.positions, kv_len, entries);
    for (int64_t h = a * group_size; h < (a + 1) * group_size; ++h) {
      for (int64_t i = 0; i < q_len; ++i) {
        const int64_t own_entry = params.q_start + i;
        RowVisibility visibility{.num_visible = own_entry + 1, .window = params.window};
        if (params.window > 0) visibility.position = params.positions[own_entry];
        const RowSoftmax softmax =
            SoftmaxOfRow(LoadRow(params.q, i, h), params.scale, entries, visibility);
        const std::vector<double> out = WeightedValues(softmax, entries, head_dim);
        StoreRow(params.out.Slice(1, h * head_dim, (h + 1) * head_dim), out, i);
        if (!params.log_sum_exp.empty()) {
          StoreRow(params.log_sum_exp.Slice(1, h, h + 1), {softmax.log_sum_exp}, i);
        }
      }
    }
  }
}

void ReferenceBackend::CachedAttention(const CachedAttentionParams& params) {
  const int64_t q_len = params.q_len;
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t head_dim = params.q.dim(2);
  FASTKV_CHECK(params.q.dtype() == types_.activation);
  FASTKV_CHECK(params.out.dtype() == types_.activation);
  FASTKV_CHECK_EQ(params.q.dim(0), q_len * static_cast<int64_t>(params.sequences.size()));
  FASTKV_CHECK_EQ(params.out.dim(1), num_q_heads * head_dim);

  int64_t first_row = 0;
  for (const KvLayerView& layer : params.sequences) {
    const int64_t num_kv_heads = NumKvHeads(layer);
    FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
    const int64_t group_size = num_q_heads / num_kv_heads;
    for (int64_t h = 0; h < num_q_heads; ++h) {
      const HeadEntries entries = CachedHead(layer, h / group_size, params.window > 0);
      const auto num_entries = static_cast<int64_t>(entries.keys.size());
      const int64_t tail_len = layer.tail_keys.empty() ? 0 : layer.tail_keys.dim(1);
      for (int64_t i = 0; i < q_len; ++i) {
        // The rows after this one have their entries at the end of the tail; without a tail there
        // is nothing later to hide.
        const int64_t num_later = tail_len == 0 ? 0 : q_len - 1 - i;
        RowVisibility visibility{.num_visible = num_entries - num_later, .window = params.window};
        if (params.window > 0) visibility.position = layer.tail_positions[tail_len - 1 - num_later];
        const RowSoftmax softmax =
            SoftmaxOfRow(LoadRow(params.q, first_row + i, h), params.scale, entries, visibility);
        StoreRow(params.out.Slice(1, h * head_dim, (h + 1) * head_dim),
                 WeightedValues(softmax, entries, head_dim), first_row + i);
        if (!params.log_sum_exp.empty()) {
          StoreRow(params.log_sum_exp.Slice(1, h, h + 1), {softmax.log_sum_exp}, first_row + i);
        }
      }
    }
    first_row += q_len;
  }
}

void ReferenceBackend::WindowScores(const WindowScoresParams& params) {
  const int64_t window_rows = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t num_columns = kv_len - window_rows;
  FASTKV_CHECK(params.q.dtype() == types_.activation);
  FASTKV_CHECK(params.keys.dtype() == types_.kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_LE(0, num_columns);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.out.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  FASTKV_CHECK(params.row_reduction != ReductionKind::kMean);
  const int64_t group_size = num_q_heads / num_kv_heads;

  for (int64_t h = 0; h < num_q_heads; ++h) {
    HeadEntries entries;
    AppendRows(params.keys, ConstTensorView(), h / group_size, entries);
    if (params.window > 0) AppendPositions(params.positions, kv_len, entries);
    std::vector<double> scores(num_columns, 0.0);
    for (int64_t i = 0; i < window_rows; ++i) {
      const int64_t own_entry = num_columns + i;
      RowVisibility visibility{.num_visible = own_entry + 1, .window = params.window};
      if (params.window > 0) visibility.position = params.positions[own_entry];
      const RowSoftmax softmax =
          SoftmaxOfRow(LoadRow(params.q, i, h), params.scale, entries, visibility);
      for (int64_t j = 0; j < num_columns; ++j) {
        const double probability = softmax.probabilities[j];
        scores[j] = params.row_reduction == ReductionKind::kSum ? scores[j] + probability
                                                                : std::max(scores[j], probability);
      }
    }
    StoreRow(params.out, scores, h);
  }
}

}  // namespace fastkv::reference
