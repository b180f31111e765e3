// What a plan costs, in floating-point operations and bytes, computed from integers alone: progress
// and time left are told from it, and benchmarks put it beside what they measure.
#ifndef FASTKV_ENGINE_PLAN_COST_H_
#define FASTKV_ENGINE_PLAN_COST_H_

#include <cstdint>

#include "backend/backend.h"
#include "method/prefill_plan.h"
#include "model/model_config.h"

namespace fastkv {

// Operations of matrix products and causal attention (a multiply and an add count two) that rows
// [begin, end) of layer `layer` take in prefill. In the last layer all tokens need keys and values,
// and only `last_layer_rows` of them the rest.
double LayerFlops(const ModelConfig& config, const LayerPlan& plan, int64_t layer, int64_t begin,
                  int64_t end, int64_t last_layer_rows);

// The whole prefill: all layers, and the head for one row.
double PrefillFlops(const ModelConfig& config, const PrefillPlan& plan, int64_t last_layer_rows);

// Rows of the last layer whose queries are needed: the observation window, at least the last token.
int64_t LastLayerRows(const PrefillPlan& plan);

struct PlannedMemory {
  int64_t kept_kv_bytes = 0;   // keys, values and positions of all kept entries
  int64_t layer_kv_bytes = 0;  // one layer's full keys and values, 0 where no layer drops entries
  int64_t hidden_bytes = 0;  // hidden states, positions and rotary table of the tokens on their way
  int64_t selection_bytes = 0;  // window queries, scores and indices
  int64_t workspace_bytes = 0;  // activations of one block, and the logits

  int64_t total_bytes() const {
    return kept_kv_bytes + layer_kv_bytes + hidden_bytes + selection_bytes + workspace_bytes;
  }
};

// The device memory that a prefill holds at most, without the weights.
PlannedMemory PrefillMemory(const ModelConfig& config, const PrefillPlan& plan,
                            const ComputeTypes& types, int64_t block_tokens);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_PLAN_COST_H_
