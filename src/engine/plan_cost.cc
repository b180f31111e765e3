#include "engine/plan_cost.h"

#include <algorithm>

#include "engine/model_shape.h"
#include "engine/observation_recorder.h"
#include "engine/tail_eviction.h"
#include "engine/token_stream.h"
#include "model/decoder_layer.h"

namespace fastkv {
namespace {

double QSize(const ModelConfig& config) {
  return static_cast<double>(config.num_q_heads * config.head_dim);
}
double KvSize(const ModelConfig& config) {
  return static_cast<double>(config.num_kv_heads * config.head_dim);
}

// Entries that rows [begin, end) see together: row i sees i + 1 of them, at most `window`.
double VisiblePairs(int64_t begin, int64_t end, int64_t window) {
  if (begin >= end) return 0;
  const auto triangle = [](double n) { return n * (n + 1) / 2; };
  const auto pairs_up_to = [&](int64_t rows) {
    if (window <= 0 || rows <= window) return triangle(static_cast<double>(rows));
    return triangle(static_cast<double>(window)) +
           static_cast<double>(rows - window) * static_cast<double>(window);
  };
  return pairs_up_to(end) - pairs_up_to(begin);
}

// Of those, the pairs with one of the first `columns` entries.
double VisiblePairsOf(int64_t begin, int64_t end, int64_t columns, int64_t window) {
  if (window > 0) return VisiblePairs(begin, end, window);
  const int64_t triangle_end = std::clamp(columns, begin, end);
  return VisiblePairs(begin, triangle_end, 0) +
         static_cast<double>(end - triangle_end) * static_cast<double>(columns);
}

// What is added up of rows [begin, end) while the layer runs.
double ObservationFlops(const ModelConfig& config, const LayerPlan& plan, int64_t layer,
                        int64_t begin, int64_t end) {
  double flops = 0;
  for (const ColumnSums& sums : plan.observation.column_sums) {
    const int64_t first = std::clamp(plan.tokens_in - sums.rows, begin, end);
    flops +=
        2 * QSize(config) * VisiblePairsOf(first, end, sums.columns, config.sliding_window[layer]);
  }
  if (plan.observation.query_moments) {
    const int64_t first = std::clamp(plan.observation.moments_first_row, begin, end);
    flops +=
        2 * QSize(config) * static_cast<double>(config.head_dim) * static_cast<double>(end - first);
  }
  return flops;
}

// Where a layer's entries go: all of them at once into the frozen part, or the last `recent` into
// the tail, whose positions all heads share.
int64_t KeptBytes(const ModelConfig& config, const LayerPlan& layer, const ComputeTypes& types,
                  int64_t recent) {
  const int64_t vector_bytes = config.head_dim * DTypeBytes(types.kv);
  const int64_t frozen = layer.MaxEntries(config.num_kv_heads) - config.num_kv_heads * recent;
  return frozen * KvGeometryOf(config, types).FrozenEntryBytes() +
         config.num_kv_heads * recent * 2 * vector_bytes + 4 * recent;
}

}  // namespace

LayerRows RowsOfLayer(const ModelConfig& config, const LayerPlan& plan, int64_t layer,
                      int64_t last_layer_rows) {
  if (layer != config.num_layers - 1) return {};
  const int64_t first_full = plan.tokens_in - std::min(last_layer_rows, plan.tokens_in);
  if (!plan.observation.query_moments) return {.keys_only = first_full};
  const int64_t first_query = std::min(plan.observation.moments_first_row, first_full);
  return {.keys_only = first_query, .queries_only = first_full - first_query};
}

int64_t LastLayerRows(const PrefillPlan& plan) {
  const LayerPlan& last = plan.layers.back();
  int64_t rows = std::max<int64_t>(1, last.observation.query_rows);
  for (const ColumnSums& sums : last.observation.column_sums) rows = std::max(rows, sums.rows);
  if (plan.eviction.has_value()) rows = std::max(rows, plan.eviction->recent_rows);
  return std::min(last.tokens_in, rows);
}

double QkvFlops(const ModelConfig& config, int64_t num_rows) {
  return 2 * static_cast<double>(config.hidden_size) * (QSize(config) + 2 * KvSize(config)) *
         static_cast<double>(num_rows);
}

double MlpFlops(const ModelConfig& config, int64_t num_rows) {
  return 2 * 3 * static_cast<double>(config.hidden_size) *
         static_cast<double>(config.intermediate_size) * static_cast<double>(num_rows);
}

double LayerFlops(const ModelConfig& config, const LayerPlan& plan, int64_t layer, int64_t begin,
                  int64_t end, int64_t last_layer_rows) {
  const LayerRows rows = RowsOfLayer(config, plan, layer, last_layer_rows);
  const int64_t query_begin = std::clamp(rows.keys_only, begin, end);
  const int64_t full_begin = std::clamp(rows.keys_only + rows.queries_only, begin, end);
  const auto hidden = static_cast<double>(config.hidden_size);
  const double kv_flops =
      2 * hidden * 2 * KvSize(config) * static_cast<double>(query_begin - begin);
  const double output_flops = 2 * hidden * QSize(config) * static_cast<double>(end - full_begin);
  const double attention_flops =
      4 * QSize(config) * VisiblePairs(full_begin, end, config.sliding_window[layer]);
  return kv_flops + QkvFlops(config, end - query_begin) + output_flops + attention_flops +
         MlpFlops(config, end - full_begin) + ObservationFlops(config, plan, layer, begin, end);
}

double PrefillFlops(const ModelConfig& config, const PrefillPlan& plan, int64_t last_layer_rows) {
  double flops = 2.0 * static_cast<double>(config.hidden_size * config.vocab_size);
  for (size_t i = 0; i < plan.selection_pass.size(); ++i) {
    const LayerPlan& layer = plan.selection_pass[i];
    flops += i + 1 == plan.selection_pass.size()
                 ? QkvFlops(config, layer.tokens_in)
                 : LayerFlops(config, layer, static_cast<int64_t>(i), 0, layer.tokens_in,
                              layer.tokens_in);
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const LayerPlan& layer = plan.layers[i];
    flops += LayerFlops(config, layer, i, 0, layer.tokens_in, last_layer_rows);
    if (layer.cut_point == CutPoint::kBeforeMlp) {
      flops -= MlpFlops(config, layer.tokens_in - layer.tokens_out);
    }
  }
  return flops;
}

PrefillSizes SizesOf(const PrefillPlan& plan, int64_t num_kv_heads, const ComputeTypes& types,
                     int64_t block_tokens) {
  PrefillSizes sizes;
  bool sums_columns = plan.eviction.has_value();
  for (const LayerPlan& layer : plan.selection_pass) {
    sizes.layer_tokens = std::max(sizes.layer_tokens, layer.tokens_in);
    sizes.token_indices = std::max(sizes.token_indices, layer.cut_tokens);
  }
  for (const LayerPlan& layer : plan.layers) {
    if (!layer.keeps_all()) {
      sizes.kv_indices = std::max(sizes.kv_indices, layer.MaxEntries(num_kv_heads));
    }
    if (!layer.keeps_all() || plan.eviction.has_value() || types.has_int8_kv()) {
      sizes.layer_tokens = std::max(sizes.layer_tokens, layer.tokens_in);
    }
    sizes.cut_tokens = std::max(sizes.cut_tokens, layer.cut_tokens);
    sums_columns = sums_columns || !layer.observation.column_sums.empty();
  }
  sizes.token_indices = std::max(sizes.token_indices, sizes.cut_tokens);
  if (sums_columns) sizes.log_sum_exp_rows = std::min(block_tokens, plan.prompt_tokens);
  return sizes;
}

PlannedMemory PrefillMemory(const ModelConfig& config, const PrefillPlan& plan,
                            const ComputeTypes& types, int64_t block_tokens) {
  const int64_t vector_bytes = config.head_dim * DTypeBytes(types.kv);
  const PrefillSizes sizes = SizesOf(plan, config.num_kv_heads, types, block_tokens);
  PlannedMemory memory;
  const int64_t recent = plan.eviction.has_value() ? plan.eviction->recent_rows : 0;
  for (const LayerPlan& layer : plan.layers) {
    memory.kept_kv_bytes += KeptBytes(config, layer, types, recent);
  }
  memory.layer_kv_bytes = 2 * config.num_kv_heads * sizes.layer_tokens * vector_bytes;
  memory.hidden_bytes = (plan.prompt_tokens + sizes.cut_tokens) * TokenStream::TokenBytes(config);
  memory.selection_bytes =
      ObservationRecorder::NumBytes(config, types, plan) +
      4 * (sizes.kv_indices + sizes.token_indices + config.num_q_heads * sizes.log_sum_exp_rows);
  if (plan.eviction.has_value()) {
    memory.eviction_bytes = TailEviction::NumBytes(config, types, *plan.eviction);
  }
  memory.workspace_bytes =
      DecoderWorkspace::NumBytes(types, config, std::min(block_tokens, plan.prompt_tokens)) +
      4 * config.vocab_size;
  return memory;
}

}  // namespace fastkv
