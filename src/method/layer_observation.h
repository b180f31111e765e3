// What was observed of one layer, and the scores derived from it. Derived scores are computed when
// they are first asked for and then shared between KV retention and token propagation.
#ifndef FASTKV_METHOD_LAYER_OBSERVATION_H_
#define FASTKV_METHOD_LAYER_OBSERVATION_H_

#include <cstdint>

#include "backend/backend.h"
#include "base/status.h"
#include "method/method_config.h"
#include "tensor/buffer.h"

namespace fastkv {

// Scratch for the scores of one layer, reused from layer to layer.
class ObservationScratch {
 public:
  // Takes memory for layers of up to `max_tokens` tokens. Errors: kMemory.
  static Result<ObservationScratch> Allocate(Backend& backend, const ModelShape& shape,
                                             int64_t max_tokens);

 private:
  friend class LayerObservation;
  Buffer window_scores_;  // [num_q_heads, max_tokens], f32
  Buffer pooled_scores_;  // as window_scores_
  Buffer group_scores_;   // [num_kv_heads, max_tokens], f32
  Buffer token_scores_;   // [1, max_tokens], f32
};

// One layer's observation. Not thread-safe; lives while the scratch does.
class LayerObservation {
 public:
  // `num_past` is the number of tokens before the window.
  LayerObservation(Backend& backend, const ModelShape& shape, ObservationScratch& scratch,
                   int64_t num_past)
      : backend_(backend), shape_(shape), scratch_(scratch), num_past_(num_past) {}

  Backend& backend() { return backend_; }
  int64_t num_past() const { return num_past_; }

  // u of docs/methods.md, "Window scores": [num_q_heads, num_past], f32. The engine fills it;
  // methods read it.
  TensorView WindowScores();

  // G of docs/methods.md: window scores pooled per query head, then summed over each KV head's
  // group. [num_kv_heads, num_past], f32. One pooling per layer: later calls must ask for the same.
  ConstTensorView GroupScores(int64_t kernel, PoolingKind pooling);

  // S of docs/methods.md: G summed over the KV heads. [1, num_past], f32.
  ConstTensorView TokenScores(int64_t kernel, PoolingKind pooling);

 private:
  Backend& backend_;
  const ModelShape& shape_;
  ObservationScratch& scratch_;
  int64_t num_past_;
  ConstTensorView group_scores_;
  ConstTensorView token_scores_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_LAYER_OBSERVATION_H_
