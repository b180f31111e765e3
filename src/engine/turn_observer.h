// Remembers what a retention rule asks to see of the last tokens of a conversation, so that it can
// be applied again to a cache that has grown (cache_compression.h): their queries in every layer,
// and where a rule wants moments, the projections that these come from.
#ifndef FASTKV_ENGINE_TURN_OBSERVER_H_
#define FASTKV_ENGINE_TURN_OBSERVER_H_

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "base/status.h"
#include "method/retention_rule.h"
#include "model/decoder_model.h"
#include "tensor/buffer.h"

namespace fastkv {

// State of one sequence; one row for each of its last tokens. Move-only; Fork() gives a second one.
// Not thread-safe. Back end and model must outlive it.
class TurnObserver {
 public:
  // Errors: kMemory.
  static Result<TurnObserver> Create(Backend& backend, const DecoderModel& model,
                                     const RetentionRule& rule);
  // Errors: kMemory.
  Result<TurnObserver> Fork() const;

  // Before `num_tokens` further tokens run, and after they went through all layers. Tokens that
  // were begun and not finished do not count.
  void Begin(int64_t num_tokens);
  void Finish(int64_t num_tokens);
  // Between the two, for each layer: `queries` [num_tokens, num_q_heads, head_dim], act, after
  // rotary embedding; `qkv`: their rows of DecoderWorkspace::Qkv.
  void Record(int64_t layer, ConstTensorView queries, ConstTensorView qkv);
  // Forgets the last `num_tokens` finished ones.
  void TakeBack(int64_t num_tokens);

  // Rows that are remembered, the last ones.
  int64_t num_rows() const { return num_rows_ - oldest_; }
  // The most that are.
  int64_t max_rows() const { return max_rows_; }
  bool has_projections() const { return qkv_.data() != nullptr; }

  // Copies the last rows of a layer, oldest first, to `out`: as many as it has. REQUIRES: no more
  // than num_rows(); for projections, has_projections().
  void CopyQueries(int64_t layer, const TensorView& out) const;      // as queries above
  void CopyProjections(int64_t layer, const TensorView& out) const;  // as qkv above

 private:
  TurnObserver(Backend& backend, const DecoderModel& model) : backend_(&backend), model_(&model) {}
  Status AllocateMemory(bool projections);
  // Rows r stand in slots r % max_rows: [begin, end) of them in packed rows, to their slots ...
  void Store(const Buffer& slots, int64_t layer, const ConstTensorView& rows);
  // ... and the last ones back.
  void Load(const Buffer& slots, int64_t layer, const TensorView& rows) const;
  std::byte* Slot(const Buffer& slots, int64_t layer, int64_t row, int64_t row_bytes) const;

  Backend* backend_;
  const DecoderModel* model_;
  int64_t max_rows_ = 0;
  Buffer queries_;        // [num_layers, max_rows, num_q_heads, head_dim], act
  Buffer qkv_;            // [num_layers, max_rows, (num_q_heads + 2 num_kv_heads) head_dim], act
  int64_t num_rows_ = 0;  // finished
  int64_t oldest_ = 0;    // the first whose slot was not written again
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_TURN_OBSERVER_H_
