#include "engine/observation_recorder.h"

#include <algorithm>

#include "base/check.h"
#include "engine/model_shape.h"
#include "model/decoder_layer.h"

namespace fastkv {
namespace {

template <typename Function>
void ForEachLayer(const PrefillPlan& plan, const Function& function) {
  for (const LayerPlan& layer : plan.selection_pass) function(layer);
  for (const LayerPlan& layer : plan.layers) function(layer);
}

int64_t MaxQueryRows(const PrefillPlan& plan) {
  int64_t rows = 0;
  ForEachLayer(
      plan, [&](const LayerPlan& layer) { rows = std::max(rows, layer.observation.query_rows); });
  return rows;
}

int64_t QueryBytes(const ModelConfig& config, const ComputeTypes& types) {
  return config.num_q_heads * config.head_dim * DTypeBytes(types.activation);
}

// The weight of row `row` of `rows`.
float RowWeight(int64_t row, int64_t rows, float last_row_weight) {
  if (rows < 2) return 1;
  return static_cast<float>(1 + (last_row_weight - 1.0) * static_cast<double>(row) /
                                    static_cast<double>(rows - 1));
}

}  // namespace

std::vector<ObservationRecorder::WeightTable> ObservationRecorder::NeededTables(
    const PrefillPlan& plan) {
  std::vector<WeightTable> tables;
  ForEachLayer(plan, [&](const LayerPlan& layer) {
    for (const ColumnSums& sums : layer.observation.column_sums) {
      const bool known = std::any_of(tables.begin(), tables.end(), [&](const WeightTable& table) {
        return table.rows == sums.rows && table.last_row_weight == sums.last_row_weight;
      });
      if (known || sums.last_row_weight == 1) continue;
      tables.push_back({.rows = sums.rows, .last_row_weight = sums.last_row_weight});
    }
  });
  return tables;
}

Result<ObservationRecorder> ObservationRecorder::Allocate(Backend& backend,
                                                          const DecoderModel& model,
                                                          const PrefillPlan& plan) {
  const ModelConfig& config = model.config();
  ObservationRecorder recorder(backend, model);
  recorder.frequencies_ = ComputeRopeFrequencies(config.rope, config.head_dim);
  FASTKV_ASSIGN_OR_RETURN(recorder.scratch_,
                          ObservationScratch::Allocate(backend, ShapeOf(config), plan));
  FASTKV_ASSIGN_OR_RETURN(recorder.last_queries_,
                          backend.Allocate(MaxQueryRows(plan) * QueryBytes(config, backend.types()),
                                           "queries of the observation window"));
  recorder.weight_tables_ = NeededTables(plan);
  for (WeightTable& table : recorder.weight_tables_) {
    std::vector<float> weights(table.rows);
    for (int64_t i = 0; i < table.rows; ++i) {
      weights[i] = RowWeight(i, table.rows, table.last_row_weight);
    }
    FASTKV_ASSIGN_OR_RETURN(table.weights, backend.Allocate(4 * table.rows, "row weights"));
    FASTKV_RETURN_IF_ERROR(
        backend.CopyToDevice(table.weights.data(), weights.data(), 4 * table.rows));
  }
  return recorder;
}

int64_t ObservationRecorder::NumBytes(const ModelConfig& config, const ComputeTypes& types,
                                      const PrefillPlan& plan) {
  int64_t bytes = ObservationScratch::NumBytes(ShapeOf(config), plan) +
                  MaxQueryRows(plan) * QueryBytes(config, types);
  for (const WeightTable& table : NeededTables(plan)) bytes += 4 * table.rows;
  return bytes;
}

void ObservationRecorder::BeginLayer(const LayerPlan& plan, int64_t layer) {
  plan_ = plan;
  layer_ = layer;
  const Observation& wanted = plan.observation;
  const auto clear = [&](const TensorView& view, int64_t rows, int64_t columns) {
    const std::vector<ColumnSpan> all = {{0, columns}};
    backend_->FillColumns({.scores = TensorView(view.data(), DType::kF32, {rows, columns}),
                           .spans = all,
                           .value = 0});
  };
  for (size_t i = 0; i < wanted.column_sums.size(); ++i) {
    const TensorView sums = scratch_.ColumnSumsAt(static_cast<int64_t>(i), plan.tokens_in);
    clear(sums, sums.dim(0), sums.dim(1));
  }
  if (wanted.query_moments) {
    const ModelConfig& config = model_->config();
    const int64_t sum_size = config.num_q_heads * config.head_dim;
    clear(scratch_.QuerySum(), 1, sum_size);
    clear(scratch_.QueryProducts(), sum_size, config.head_dim);
  }
}

void ObservationRecorder::RecordProjection(ConstTensorView qkv, int64_t begin) {
  if (!plan_.observation.query_moments) return;
  const int64_t first = std::max<int64_t>(0, plan_.observation.moments_first_row - begin);
  if (first >= qkv.dim(0)) return;
  AddQueryMoments(*backend_, *model_, layer_, qkv.Rows(first, qkv.dim(0)), scratch_.QuerySum(),
                  scratch_.QueryProducts());
}

void ObservationRecorder::RecordQueries(ConstTensorView queries, int64_t begin) {
  const int64_t num_kept = plan_.observation.query_rows;
  const int64_t kept_begin = plan_.tokens_in - num_kept;
  const int64_t end = begin + queries.dim(0);
  const int64_t first = std::max(begin, kept_begin);
  if (first >= end) return;
  const TensorView kept =
      last_queries_.View(queries.dtype(), {num_kept, queries.dim(1), queries.dim(2)})
          .Rows(first - kept_begin, end - kept_begin);
  backend_->Copy(kept.data(), queries.Rows(first - begin, end - begin).data(),
                 kept.num_elements() * DTypeBytes(kept.dtype()));
}

bool ObservationRecorder::WantsAttention(int64_t end) const {
  const std::vector<ColumnSums>& wanted = plan_.observation.column_sums;
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const ColumnSums& sums) { return end > plan_.tokens_in - sums.rows; });
}

ConstTensorView ObservationRecorder::WeightsOf(const ColumnSums& sums) const {
  if (sums.last_row_weight == 1) return {};
  for (const WeightTable& table : weight_tables_) {
    if (table.rows == sums.rows && table.last_row_weight == sums.last_row_weight) {
      return table.weights.View(DType::kF32, {table.rows});
    }
  }
  FASTKV_CHECK(false);
  return {};
}

void ObservationRecorder::RecordAttention(const AttendedRows& rows) {
  const std::vector<ColumnSums>& wanted = plan_.observation.column_sums;
  for (size_t i = 0; i < wanted.size(); ++i) {
    AddColumns(wanted[i], scratch_.ColumnSumsAt(static_cast<int64_t>(i), plan_.tokens_in), rows);
  }
}

void ObservationRecorder::AddColumns(const ColumnSums& sums, TensorView out,
                                     const AttendedRows& rows) {
  const int64_t sums_begin = plan_.tokens_in - sums.rows;
  const int64_t end = rows.begin + rows.queries.dim(0);
  const int64_t first = std::max(rows.begin, sums_begin);
  if (first >= end) return;
  const int64_t sliding_window = model_->config().sliding_window[layer_];
  // A row's own position must be among those given where what it sees goes by position.
  const int64_t columns = sliding_window > 0 ? end : std::min(sums.columns, end);
  const ConstTensorView weights = WeightsOf(sums);
  backend_->ColumnScores(
      {.q = rows.queries.Rows(first - rows.begin, end - rows.begin),
       .keys = rows.keys.Slice(1, 0, columns),
       .q_start = first,
       .scale = model_->attention_scale(),
       .window = sliding_window,
       .positions = rows.positions,
       .log_sum_exp = rows.log_sum_exp.Rows(first - rows.begin, end - rows.begin),
       .row_weights =
           weights.empty() ? weights : weights.Rows(first - sums_begin, end - sums_begin),
       .out = out.Slice(1, 0, columns)});
}

LayerInputs ObservationRecorder::Inputs() const {
  const ModelConfig& config = model_->config();
  LayerInputs inputs;
  inputs.layer = layer_;
  inputs.scale = model_->attention_scale();
  inputs.sliding_window = config.sliding_window[layer_];
  inputs.column_sums = plan_.observation.column_sums;
  inputs.moment_rows = std::max<int64_t>(0, plan_.tokens_in - plan_.observation.moments_first_row);
  inputs.rotary = {.inverse_frequencies = frequencies_.inverse_frequencies,
                   .attention_factor = frequencies_.attention_factor};
  if (plan_.observation.query_rows > 0) {
    inputs.queries =
        last_queries_.View(backend_->types().activation,
                           {plan_.observation.query_rows, config.num_q_heads, config.head_dim});
  }
  return inputs;
}

}  // namespace fastkv
