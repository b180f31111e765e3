// What a plan costs, in floating-point operations and bytes, computed from integers alone: progress
// and time left are told from it, and benchmarks put it beside what they measure.
#ifndef FASTKV_ENGINE_PLAN_COST_H_
#define FASTKV_ENGINE_PLAN_COST_H_

#include <cstdint>

#include "backend/backend.h"
#include "method/prefill_plan.h"
#include "model/model_config.h"

namespace fastkv {

// How the rows of a layer are processed: rows [0, keys_only) need keys and values alone, the next
// queries_only rows their queries too, all others everything.
struct LayerRows {
  int64_t keys_only = 0;
  int64_t queries_only = 0;
};

// Rows of layer `layer`, which is planned as `plan`. In the last layer all tokens need keys and
// values, those whose moments the method observes their queries, and only the last
// `last_layer_rows` everything.
LayerRows RowsOfLayer(const ModelConfig& config, const LayerPlan& plan, int64_t layer,
                      int64_t last_layer_rows);

// Rows of the last layer that are processed in full: those whose queries or attention the method
// observes, at least the last token.
int64_t LastLayerRows(const PrefillPlan& plan);

// Operations of matrix products and causal attention (a multiply and an add count two) that rows
// [begin, end) of layer `layer` take in prefill, and of what is observed of them: sums of attention
// columns, moments of queries. Scores of a few window rows are left out.
double LayerFlops(const ModelConfig& config, const LayerPlan& plan, int64_t layer, int64_t begin,
                  int64_t end, int64_t last_layer_rows);

// Parts of LayerFlops: the product with the q, k and v weights, and the MLP. LayerFlops counts the
// MLP of all rows, a cut before it notwithstanding.
double QkvFlops(const ModelConfig& config, int64_t num_rows);
double MlpFlops(const ModelConfig& config, int64_t num_rows);

// The whole prefill: all layers, a first pass where there is one, and the head for one row.
double PrefillFlops(const ModelConfig& config, const PrefillPlan& plan, int64_t last_layer_rows);

struct PlannedMemory {
  int64_t kept_kv_bytes = 0;   // keys, values, scales and positions of all kept entries
  int64_t layer_kv_bytes = 0;  // one layer's full keys and values, 0 where all stay as computed
  int64_t hidden_bytes = 0;  // hidden states, positions and rotary table of the tokens on their way
  int64_t selection_bytes = 0;  // observations, scores and indices
  int64_t eviction_bytes = 0;   // what dropping entries while decoding remembers
  int64_t workspace_bytes = 0;  // activations of one block, and the logits

  int64_t total_bytes() const {
    return kept_kv_bytes + layer_kv_bytes + hidden_bytes + selection_bytes + eviction_bytes +
           workspace_bytes;
  }
};

// The device memory that a prefill holds at most, without the weights.
PlannedMemory PrefillMemory(const ModelConfig& config, const PrefillPlan& plan,
                            const ComputeTypes& types, int64_t block_tokens);

// Sizes that the memory of a prefill is made of; Prefill takes them and PrefillMemory adds them up.
struct PrefillSizes {
  int64_t layer_tokens =
      0;                   // of the longest layer whose keys and values do not stay where they are
  int64_t cut_tokens = 0;  // on their way after a cut, at most
  int64_t kv_indices = 0;  // selected entries of one layer, all heads
  int64_t token_indices = 0;     // selected tokens of one cut
  int64_t log_sum_exp_rows = 0;  // of one block
};
PrefillSizes SizesOf(const PrefillPlan& plan, int64_t num_kv_heads, const ComputeTypes& types,
                     int64_t block_tokens);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_PLAN_COST_H_
