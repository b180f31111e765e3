// Scores changed and turned into indices, and indices to gathered rows.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "backend/reference/elements.h"
#include "backend/reference/int8_row.h"
#include "backend/reference/reference_backend.h"

namespace fastkv::reference {
namespace {

double Pool(const std::vector<double>& row, int64_t center, int64_t kernel, PoolingKind kind) {
  const auto num_columns = static_cast<int64_t>(row.size());
  const int64_t begin = std::max<int64_t>(0, center - kernel / 2);
  const int64_t end = std::min(num_columns, center + kernel / 2 + 1);
  if (kind == PoolingKind::kMax) return *std::max_element(row.begin() + begin, row.begin() + end);
  return std::accumulate(row.begin() + begin, row.begin() + end, 0.0) / static_cast<double>(kernel);
}

// Larger scores first, NaN last, the lower column among equals.
bool RanksBefore(const std::vector<double>& row, int32_t a, int32_t b) {
  const bool a_is_nan = std::isnan(row[a]);
  const bool b_is_nan = std::isnan(row[b]);
  if (a_is_nan != b_is_nan) return b_is_nan;
  if (!a_is_nan && row[a] != row[b]) return row[a] > row[b];
  return a < b;
}

// Copies the row at `from` to the row at `to`, whatever the type.
void CopyRow(const ConstTensorView& from_view, int64_t from, const TensorView& to_view,
             int64_t to) {
  FASTKV_CHECK(from_view.dtype() == to_view.dtype());
  FASTKV_CHECK_EQ(from_view.dim(from_view.rank() - 1), to_view.dim(to_view.rank() - 1));
  const int64_t element_bytes = DTypeBytes(from_view.dtype());
  std::memcpy(static_cast<char*>(to_view.data()) + to * element_bytes,
              static_cast<const char*>(from_view.data()) + from * element_bytes,
              static_cast<size_t>(from_view.dim(from_view.rank() - 1) * element_bytes));
}

// The key or value of one entry, [1, head_dim], and its scale where it is in integers.
template <typename Pointer, typename Scale>
struct EntryVector {
  BasicTensorView<Pointer> row;
  Scale* scale = nullptr;
};

EntryVector<const void*, const float> VectorAt(const ConstTensorView& rows,
                                               const ConstTensorView& scales, int64_t head,
                                               int64_t entry) {
  return {rows.Rows(head, head + 1).Slice(1, entry, entry + 1),
          scales.empty() ? nullptr : scales.As<float>() + RowOffset(scales, head) + entry};
}
EntryVector<void*, float> VectorAt(const TensorView& rows, const TensorView& scales, int64_t head,
                                   int64_t entry) {
  return {rows.Rows(head, head + 1).Slice(1, entry, entry + 1),
          scales.empty() ? nullptr : scales.As<float>() + RowOffset(scales, head) + entry};
}

void CopyVector(const EntryVector<const void*, const float>& from,
                const EntryVector<void*, float>& to) {
  const bool from_integers = from.row.dtype() == DType::kI8;
  const bool to_integers = to.row.dtype() == DType::kI8;
  FASTKV_CHECK(from_integers == (from.scale != nullptr));
  FASTKV_CHECK(to_integers == (to.scale != nullptr));
  if (from_integers == to_integers) {
    CopyRow(from.row, 0, to.row, 0);
    if (to_integers) *to.scale = *from.scale;
    return;
  }
  std::vector<double> row = LoadRow(from.row, 0, 0);
  if (to_integers) {
    const Int8Row rounded = RoundToInt8(row);
    std::copy(rounded.integers.begin(), rounded.integers.end(), to.row.As<int8_t>());
    *to.scale = rounded.scale;
    return;
  }
  for (double& value : row) value *= *from.scale;
  StoreRow(to.row, row, 0, 0);
}

}  // namespace

void ReferenceBackend::FillColumns(const FillColumnsParams& params) {
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  for (int64_t i = 0; i < params.scores.dim(0); ++i) {
    std::vector<double> row = LoadRow(params.scores, i);
    for (const ColumnSpan& span : params.spans) {
      FASTKV_CHECK_LE(0, span.begin);
      FASTKV_CHECK_LE(span.begin, span.end);
      FASTKV_CHECK_LE(span.end, params.scores.dim(1));
      std::fill(row.begin() + span.begin, row.begin() + span.end, params.value);
    }
    StoreRow(params.scores, row, i);
  }
}

void ReferenceBackend::PoolScores(const PoolScoresParams& params) {
  FASTKV_CHECK_EQ(params.kernel % 2, 1);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  for (int64_t i = 0; i < params.scores.dim(0); ++i) {
    const std::vector<double> row = LoadRow(params.scores, i);
    std::vector<double> out(row.size());
    for (size_t j = 0; j < row.size(); ++j) {
      out[j] = Pool(row, static_cast<int64_t>(j), params.kernel, params.kind);
    }
    StoreRow(params.out, out, i);
  }
}

void ReferenceBackend::ReduceRows(const ReduceRowsParams& params) {
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  const int64_t num_groups = params.out.dim(0);
  if (num_groups == 0) return;
  FASTKV_CHECK_EQ(params.scores.dim(0) % num_groups, 0);
  const int64_t size = params.scores.dim(0) / num_groups;
  for (int64_t g = 0; g < num_groups; ++g) {
    std::vector<double> out = LoadRow(params.scores, g * size);
    for (int64_t i = g * size + 1; i < (g + 1) * size; ++i) {
      const std::vector<double> row = LoadRow(params.scores, i);
      for (size_t j = 0; j < row.size(); ++j) {
        out[j] = params.kind == ReductionKind::kMax ? std::max(out[j], row[j]) : out[j] + row[j];
      }
    }
    if (params.kind == ReductionKind::kMean) {
      for (double& value : out) value /= static_cast<double>(size);
    }
    StoreRow(params.out, out, g);
  }
}

void ReferenceBackend::SelectTopK(const SelectTopKParams& params) {
  const int64_t num_columns = params.scores.dim(1);
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kI32);
  FASTKV_CHECK_LE(0, params.count);
  FASTKV_CHECK_LE(params.count, num_columns);
  FASTKV_CHECK_EQ(params.out.dim(1), params.count + params.tail);
  for (int64_t i = 0; i < params.scores.dim(0); ++i) {
    const std::vector<double> row = LoadRow(params.scores, i);
    std::vector<int32_t> order(num_columns);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&row](int32_t a, int32_t b) { return RanksBefore(row, a, b); });
    std::sort(order.begin(), order.begin() + params.count);
    auto* out = params.out.As<int32_t>() + RowOffset(params.out, i);
    std::copy_n(order.begin(), params.count, out);
    std::iota(out + params.count, out + params.count + params.tail,
              static_cast<int32_t>(num_columns));
  }
}

void ReferenceBackend::GatherRows(const GatherRowsParams& params) {
  for (int64_t i = 0; i < params.out.dim(0); ++i) {
    const int64_t source = params.indices[i];
    FASTKV_CHECK_LE(0, source);
    FASTKV_CHECK_LT(source, params.x.dim(0));
    CopyRow(params.x, RowOffset(params.x, source), params.out, RowOffset(params.out, i));
  }
}

void ReferenceBackend::GatherKv(const GatherKvParams& params) {
  FASTKV_CHECK(params.takes_all() || params.indices.dtype() == DType::kI32);
  FASTKV_CHECK(params.out_positions.dtype() == DType::kI32);
  for (int64_t a = 0; a < params.keys.dim(0); ++a) {
    auto* positions = params.out_positions.As<int32_t>() + RowOffset(params.out_positions, a);
    for (int64_t i = 0; i < params.num_selected(); ++i) {
      const int64_t source =
          params.takes_all() ? i : params.indices.As<int32_t>()[RowOffset(params.indices, a) + i];
      FASTKV_CHECK_LE(0, source);
      FASTKV_CHECK_LT(source, params.keys.dim(1));
      CopyVector(VectorAt(params.keys, params.key_scales, a, source),
                 VectorAt(params.out_keys, params.out_key_scales, a, i));
      CopyVector(VectorAt(params.values, params.value_scales, a, source),
                 VectorAt(params.out_values, params.out_value_scales, a, i));
      positions[i] = params.positions[source];
    }
  }
}

}  // namespace fastkv::reference
