#include "engine/plan_cost.h"

#include <algorithm>

#include "model/decoder_layer.h"

namespace fastkv {
namespace {

// Entries that rows [begin, end) see together: row i sees i + 1 of them, at most `window`.
double VisiblePairs(int64_t begin, int64_t end, int64_t window) {
  const auto triangle = [](double n) { return n * (n + 1) / 2; };
  const auto pairs_up_to = [&](int64_t rows) {
    if (window <= 0 || rows <= window) return triangle(static_cast<double>(rows));
    return triangle(static_cast<double>(window)) +
           static_cast<double>(rows - window) * static_cast<double>(window);
  };
  return pairs_up_to(end) - pairs_up_to(begin);
}

}  // namespace

double LayerFlops(const ModelConfig& config, const LayerPlan& plan, int64_t layer, int64_t begin,
                  int64_t end, int64_t last_layer_rows) {
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto q_size = static_cast<double>(config.num_q_heads * config.head_dim);
  const auto kv_size = static_cast<double>(config.num_kv_heads * config.head_dim);
  const auto intermediate = static_cast<double>(config.intermediate_size);
  int64_t full_begin = begin;
  if (layer == config.num_layers - 1) {
    full_begin = std::clamp(plan.tokens_in - last_layer_rows, begin, end);
  }
  const auto num_rows = static_cast<double>(end - begin);
  const auto full_rows = static_cast<double>(end - full_begin);
  const double kv_flops = 2 * hidden * 2 * kv_size * num_rows;
  const double rest_flops = 2 * (2 * hidden * q_size + 3 * hidden * intermediate) * full_rows;
  const double attention_flops =
      4 * q_size * VisiblePairs(full_begin, end, config.sliding_window[layer]);
  return kv_flops + rest_flops + attention_flops;
}

double PrefillFlops(const ModelConfig& config, const PrefillPlan& plan, int64_t last_layer_rows) {
  double flops = 2.0 * static_cast<double>(config.hidden_size * config.vocab_size);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const LayerPlan& layer = plan.layers[i];
    flops += LayerFlops(config, layer, i, 0, layer.tokens_in, last_layer_rows);
  }
  return flops;
}

int64_t LastLayerRows(const PrefillPlan& plan) {
  const LayerPlan& last = plan.layers.back();
  const int64_t wanted = last.observation == Observation::kNone ? 1 : plan.window;
  return std::min(last.tokens_in, std::max<int64_t>(1, wanted));
}

PlannedMemory PrefillMemory(const ModelConfig& config, const PrefillPlan& plan,
                            const ComputeTypes& types, int64_t block_tokens) {
  const int64_t vector_bytes = config.head_dim * DTypeBytes(types.kv);
  const int64_t token_bytes = 4 * (config.hidden_size + config.head_dim + 1);
  PlannedMemory memory;
  int64_t observed_tokens = 0;
  int64_t kept_entries = 0;
  int64_t tokens_after_cut = 0;
  for (const LayerPlan& layer : plan.layers) {
    memory.kept_kv_bytes += config.num_kv_heads * layer.kv_len * (2 * vector_bytes + 4);
    if (!layer.keeps_all()) {
      memory.layer_kv_bytes =
          std::max(memory.layer_kv_bytes, 2 * config.num_kv_heads * layer.tokens_in * vector_bytes);
      kept_entries = std::max(kept_entries, layer.kv_len);
    }
    if (layer.observation != Observation::kNone) {
      observed_tokens = std::max(observed_tokens, layer.tokens_in);
    }
    if (layer.cuts()) tokens_after_cut = std::max(tokens_after_cut, layer.tokens_out);
  }
  memory.hidden_bytes = (plan.prompt_tokens + tokens_after_cut) * token_bytes;
  if (observed_tokens > 0) {
    memory.selection_bytes =
        4 * (2 * config.num_q_heads + config.num_kv_heads + 1) * observed_tokens +
        plan.window * config.num_q_heads * config.head_dim * DTypeBytes(types.activation) +
        4 * (config.num_kv_heads * kept_entries + tokens_after_cut);
  }
  memory.workspace_bytes =
      DecoderWorkspace::NumBytes(types, config, std::min(block_tokens, plan.prompt_tokens)) +
      4 * config.vocab_size;
  return memory;
}

}  // namespace fastkv
