// What a method will do with a prompt, in integers, known before any arithmetic: the table that
// memory is reserved from, progress is told from, and results are compared with. A method whose cut
// depends on the prompt gives bounds first; once a cut is decided, the rest is planned anew by the
// same pure function (Method::Plan).
#ifndef FASTKV_METHOD_PREFILL_PLAN_H_
#define FASTKV_METHOD_PREFILL_PLAN_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "method/method_config.h"

namespace fastkv {

// Attention probabilities of the last `rows` rows of a layer, summed by column and over the query
// heads of each KV head. Row weights go linearly from 1 (the oldest of the rows) to
// `last_row_weight`.
struct ColumnSums {
  int64_t rows = 0;
  int64_t columns = 0;  // sums of columns 0 .. columns - 1 are wanted
  float last_row_weight = 1;
  bool operator==(const ColumnSums&) const = default;
};

// What a method must see of a layer to select from it. Keys and values can always be seen.
struct Observation {
  int64_t query_rows = 0;               // last rows whose queries are kept for scoring
  bool key_scores = false;              // room for scores computed from keys or values
  std::vector<ColumnSums> column_sums;  // added up while the layer runs
  bool query_moments = false;           // moments of the queries before rotary embedding ...
  int64_t moments_first_row = 0;        // ... of this row and all later ones

  bool any() const { return query_rows > 0 || key_scores || !column_sums.empty() || query_moments; }
};

// What both want. REQUIRES: where both want query moments, of the same rows.
Observation operator|(const Observation& a, const Observation& b);

enum class CutPoint {
  kAfterLayer,  // the layer is complete for every token that it received
  kBeforeMlp,   // dropped tokens take part in the layer's attention, not in its MLP
};

struct LayerPlan {
  int64_t tokens_in = 0;   // tokens that this layer receives
  int64_t kv_len = 0;      // entries that its cache keeps per KV head; the mean where unequal_heads
  int64_t tokens_out = 0;  // tokens that the next layer receives; at most so many where cut_is_open

  // The most tokens that go on if this layer cuts; 0: it does not. Equals tokens_out where the cut
  // is settled.
  int64_t cut_tokens = 0;
  // Whether the layer cuts, and to how many tokens, is decided from what it observed.
  bool cut_is_open = false;
  CutPoint cut_point = CutPoint::kAfterLayer;

  // Each KV head keeps its own number of entries, known only after selection: together at most
  // num_kv_heads * kv_len + num_kv_heads / 2.
  bool unequal_heads = false;
  Observation observation;

  bool keeps_all() const { return kv_len == tokens_in; }
  bool cuts() const { return tokens_out < tokens_in; }
  bool may_cut() const { return cut_tokens > 0; }
  // The most entries that the layer keeps over all heads.
  int64_t MaxEntries(int64_t num_kv_heads) const {
    return num_kv_heads * kv_len + (unequal_heads ? num_kv_heads / 2 : 0);
  }
};

// Dropping entries while decoding (PyramidInfer, docs/methods.md): the last `recent_rows` entries
// of every layer are safe; whenever `step_tokens` entries have moved out of them, the `kept_tokens`
// of those with the largest weighted attention from the recent rows stay.
struct EvictionPlan {
  int64_t recent_rows = 0;
  int64_t step_tokens = 0;
  int64_t kept_tokens = 0;    // below step_tokens
  float last_row_weight = 1;  // as in ColumnSums
};

struct PrefillPlan {
  int64_t prompt_tokens = 0;
  // Where the prompt is read twice: the layers of the first pass, which keeps no entries and ends
  // at the queries and keys of its last layer. That layer cuts; the tokens that go on are then read
  // as a prompt of their own, at positions 0, 1, ..., through `layers`.
  std::vector<LayerPlan> selection_pass;
  std::vector<LayerPlan> layers;  // one for each layer of the model
  // The kept tokens are numbered anew; decoding goes on behind them instead of behind the prompt.
  bool renumbers = false;
  // Tokens fall at many layers, so that no one set is "the propagated tokens" of reports.
  bool falls_gradually = false;
  std::optional<EvictionPlan> eviction;
  // Protected tokens by original position: ascending, disjoint, not touching, inside the prompt.
  std::vector<PromptSpan> protected_tokens;

  // The first layer after which fewer tokens go on, or -1.
  int64_t CutLayer() const {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i].cuts()) return static_cast<int64_t>(i);
    }
    return -1;
  }
  int64_t next_position() const { return renumbers ? layers.front().tokens_in : prompt_tokens; }
  // Whether any token or entry is dropped, or may be.
  bool MayDrop() const {
    return std::any_of(layers.begin(), layers.end(), [this](const LayerPlan& layer) {
      return layer.may_cut() || layer.kv_len < prompt_tokens;
    });
  }
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_PREFILL_PLAN_H_
