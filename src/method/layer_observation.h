// What was observed of one layer, and the scores derived from it. Derived scores are computed when
// they are first asked for, and shared between KV retention and token propagation as long as both
// ask for the same.
#ifndef FASTKV_METHOD_LAYER_OBSERVATION_H_
#define FASTKV_METHOD_LAYER_OBSERVATION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "method/method_config.h"
#include "method/prefill_plan.h"
#include "tensor/buffer.h"

namespace fastkv {

// Memory for scores, sized for a whole plan and reused from layer to layer.
class ObservationScratch {
 public:
  // Errors: kMemory.
  static Result<ObservationScratch> Allocate(Backend& backend, const ModelShape& shape,
                                             const PrefillPlan& plan);
  // What Allocate takes.
  static int64_t NumBytes(const ModelShape& shape, const PrefillPlan& plan);

  // The following are written by the engine while a layer runs and read through LayerInputs.

  // [num_kv_heads, tokens], f32: sums number `index` of a layer that receives `tokens`.
  TensorView ColumnSumsAt(int64_t index, int64_t tokens) const;
  TensorView QuerySum() const;       // [num_q_heads, head_dim], f32
  TensorView QueryProducts() const;  // [num_q_heads, head_dim, head_dim], f32

 private:
  friend class LayerObservation;
  struct Sizes;

  ModelShape shape_;
  Buffer query_scores_;    // [num_q_heads, tokens], f32
  Buffer pooled_scores_;   // as query_scores_
  Buffer head_scores_;     // [num_kv_heads, tokens], f32
  Buffer token_scores_;    // [1, tokens], f32
  Buffer column_sums_;     // [sums, num_kv_heads, tokens], f32
  Buffer query_sum_;       // [num_q_heads, head_dim], f32
  Buffer query_products_;  // [num_q_heads, head_dim, head_dim], f32
};

// How the model turns positions into rotations; host memory.
struct RotaryEmbedding {
  std::span<const float> inverse_frequencies;  // [head_dim / 2], radians per position
  float attention_factor = 1;                  // cosine and sine are multiplied by it
};

// The entries of one KV head, where heads hold different ones: those of a cache that was reduced
// before. They stand at the end of the layer's columns, so that the last ones are in line.
struct HeadInputs {
  int64_t first = 0;  // columns before it hold no entry of this head: keys, values are undefined
  const int32_t* positions = nullptr;  // device: [tokens], read from `first` on
  ConstTensorView queries;  // [rows, group, head_dim], act, packed: of the head's query heads
  std::vector<ColumnSpan> protected_tokens;  // columns: ascending, disjoint
};

// One layer as the engine saw it. Views are the engine's and valid while Select runs; what was not
// asked for is empty.
struct LayerInputs {
  int64_t layer = 0;
  int64_t prompt_tokens = 0;
  ConstTensorView keys;     // [num_kv_heads, tokens, head_dim], kv, after rotary embedding
  ConstTensorView values;   // as keys
  ConstTensorView queries;  // [rows, num_q_heads, head_dim], act, after rotary embedding: the last
  float scale = 1;          // of attention
  int64_t sliding_window = 0;               // of attention; 0: none
  const int32_t* positions = nullptr;       // device: [tokens], original positions
  std::span<const ColumnSums> column_sums;  // as in the plan; their values are in the scratch
  RotaryEmbedding rotary;
  int64_t moment_rows = 0;  // rows that the moments of queries were added up over
  // Protected tokens by received index: ascending, disjoint.
  std::vector<ColumnSpan> protected_tokens;
  // One for each KV head where they may hold different entries, else empty. `positions` is then
  // null and `protected_tokens` is the first head's; every head holds all of the protected tokens.
  std::vector<HeadInputs> heads;
};

// One layer's observation. Not thread-safe; lives while the scratch does. Scores stay valid until
// the next call that computes others of the same shape.
class LayerObservation {
 public:
  LayerObservation(Backend& backend, ObservationScratch& scratch, const LayerInputs& inputs)
      : backend_(backend), scratch_(scratch), inputs_(inputs) {}

  Backend& backend() { return backend_; }
  const ModelShape& shape() const { return scratch_.shape_; }
  const LayerInputs& inputs() const { return inputs_; }
  int64_t num_tokens() const { return inputs_.keys.dim(1); }
  // Entries that a KV head holds.
  int64_t NumEntries(int64_t kv_head) const {
    return num_tokens() - (inputs_.heads.empty() ? 0 : inputs_.heads[kv_head].first);
  }

  // u of docs/methods.md, "Window scores": [num_q_heads, tokens - window], f32. REQUIRES: at least
  // `window` query rows were observed.
  // `rows`: the sum over the window's rows, or the largest (kMax).
  TensorView WindowScores(int64_t window, ReductionKind rows = ReductionKind::kSum);

  // G of docs/methods.md: window scores pooled per query head, then summed over each KV head's
  // group. [num_kv_heads, tokens - window], f32.
  TensorView GroupScores(int64_t window, int64_t kernel, PoolingKind pooling,
                         ReductionKind rows = ReductionKind::kSum);

  // S of docs/methods.md: G summed over the KV heads. [1, tokens - window], f32.
  TensorView TokenScores(int64_t window, int64_t kernel, PoolingKind pooling,
                         ReductionKind rows = ReductionKind::kSum);

  // Window scores averaged over each KV head's group, then pooled (AdaKV's order).
  // [num_kv_heads, tokens - window], f32, packed.
  TensorView PooledGroupMeans(int64_t window, int64_t kernel, PoolingKind pooling);

  // Window scores averaged over all query heads. [1, tokens - window], f32.
  TensorView HeadMeans(int64_t window);

  // Raw scores of the last query, summed over all query heads: sum of q . k, unscaled, then pooled.
  // [1, tokens], f32. REQUIRES: query rows were observed.
  TensorView PooledQueryScores(int64_t kernel, PoolingKind pooling);

  // [num_kv_heads, sums.columns], f32; rows are strided. REQUIRES: the plan asked for `sums`.
  TensorView SummedColumns(const ColumnSums& sums);
  // The same summed over the KV heads: [1, sums.columns], f32.
  TensorView SummedTokenColumns(const ColumnSums& sums);

  // Uninitialised room for a rule's own scores: [num_kv_heads, tokens], f32. REQUIRES: key_scores
  // or query_rows was observed.
  TensorView HeadScores();

  // First and second moments of the observed queries: sums, not yet divided. A rule may overwrite
  // them. REQUIRES: query_moments was observed.
  TensorView QuerySum() const { return scratch_.QuerySum(); }
  TensorView QueryProducts() const { return scratch_.QueryProducts(); }

  // Makes protected tokens win: their columns become +infinity in `scores` [rows, columns], one of
  // the above. Columns without an entry become -infinity.
  void RaiseProtected(const TensorView& scores);

  // Writes to every row of `indices` [num_rows, count + tail], i32, the `count` columns with the
  // largest scores and the `tail` tokens behind them. `scores`: as many rows, or one row for all.
  // Protected tokens are raised first.
  void SelectTop(const TensorView& scores, int64_t tail, const TensorView& indices);

 private:
  // What a piece of scratch holds.
  enum class Content { kNothing, kWindow, kGroupSums, kTokenSums };
  struct Held {
    Content content = Content::kNothing;
    int64_t window = 0;
    int64_t kernel = 0;
    PoolingKind pooling = PoolingKind::kMax;
    ReductionKind rows = ReductionKind::kSum;
    bool operator==(const Held&) const = default;
  };

  // Whether one operation can score all heads: they have the same columns, and what a row sees does
  // not go by positions that differ.
  bool ScoresTogether() const;
  void ScoreHead(int64_t kv_head, int64_t window, ReductionKind rows, const TensorView& scores);
  TensorView Pool(const TensorView& scores, int64_t kernel, PoolingKind pooling);
  TensorView HeadView(int64_t num_columns);
  TensorView TokenView(int64_t num_columns);

  Backend& backend_;
  ObservationScratch& scratch_;
  const LayerInputs& inputs_;
  Held query_scores_;
  Held head_scores_;
  Held token_scores_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_LAYER_OBSERVATION_H_
