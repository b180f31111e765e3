// Decodes several sequences together, one token of each at a step: the weights are read once for
// all of them. Sequences may differ in length, and which others are in a batch changes no result
// beyond the rounding of products with more rows (docs/numerics.md).
#ifndef FASTKV_ENGINE_BATCH_DECODER_H_
#define FASTKV_ENGINE_BATCH_DECODER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/cancel.h"
#include "base/status.h"
#include "engine/tail_eviction.h"
#include "kv/kv_cache.h"
#include "model/decoder_layer.h"
#include "model/decoder_model.h"

namespace fastkv {

// One of the sequences of a step.
struct BatchSequence {
  KvCache* cache = nullptr;
  TailEviction* eviction = nullptr;  // where entries are dropped while decoding
};

// Not thread-safe. Back end and model must outlive it.
class BatchDecoder {
 public:
  // Takes memory for up to `max_sequences` >= 1 of them. Errors: kMemory.
  static Result<BatchDecoder> Create(Backend& backend, const DecoderModel& model,
                                     int64_t max_sequences);

  int64_t max_sequences() const { return workspace_.max_tokens(); }

  // Appends ids[s], in the vocabulary, to the cache of sequence s at its next position, for 1 to
  // max_sequences distinct sequences. Afterwards row s of logits() is what follows it. Errors:
  // kCancelled, kMemory, kDevice; the caches are then as before, but for what an eviction that
  // fails says.
  Status Step(std::span<const BatchSequence> sequences, std::span<const int32_t> ids,
              const CancelFlag* cancel);

  // [sequences of the last Step, vocab_size], f32; overwritten by the next Step.
  ConstTensorView logits() const;

  // The likeliest next token of each sequence of the last Step, the lowest id of equals. Errors:
  // kNumeric where a logit is NaN or +infinity, kDevice.
  Result<std::vector<int32_t>> GreedyIds();

 private:
  BatchDecoder(Backend& backend, const DecoderModel& model) : backend_(&backend), model_(&model) {}
  Status RunLayers(std::span<const BatchSequence> sequences, const CancelFlag* cancel);

  Backend* backend_;
  const DecoderModel* model_;
  int64_t num_sequences_ = 0;  // of the last Step
  DecoderWorkspace workspace_;
  Buffer ids_;          // [max_sequences], i32
  Buffer positions_;    // [max_sequences], i32
  Buffer hidden_;       // [max_sequences, hidden_size], f32
  Buffer cos_sin_;      // [max_sequences, head_dim], f32
  Buffer logits_;       // [max_sequences, vocab_size], f32
  Buffer log_sum_exp_;  // [max_sequences, num_q_heads], f32
  Buffer choices_;      // [max_sequences], i32
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_BATCH_DECODER_H_
