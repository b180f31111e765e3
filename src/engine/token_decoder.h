// Runs further tokens through the model behind a cache: one at a time while decoding, several at
// once when a conversation goes on. All memory is taken up front, so a decode step allocates
// nothing but the cache's own growth.
#ifndef FASTKV_ENGINE_TOKEN_DECODER_H_
#define FASTKV_ENGINE_TOKEN_DECODER_H_

#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "base/cancel.h"
#include "base/status.h"
#include "engine/tail_eviction.h"
#include "engine/turn_observer.h"
#include "kv/kv_cache.h"
#include "model/decoder_layer.h"
#include "model/decoder_model.h"

namespace fastkv {

// Not thread-safe. Back end and model must outlive it.
class TokenDecoder {
 public:
  // Handles up to `max_tokens` >= 1 tokens in one call. Errors: kMemory.
  static Result<TokenDecoder> Create(Backend& backend, const DecoderModel& model,
                                     int64_t max_tokens);

  int64_t max_tokens() const { return workspace_.max_tokens(); }

  // Appends `ids` (1 to max_tokens of them, each in the vocabulary) to the cache at its next
  // positions. Afterwards logits() is what follows the last of them. `eviction`: what drops entries
  // of this cache as it grows, or null; with it, one id at a time. `observer`: what remembers these
  // tokens, or null. Errors: kCancelled, kMemory, kDevice; the cache is then as before.
  Status Append(KvCache& cache, std::span<const int32_t> ids, TailEviction* eviction,
                const CancelFlag* cancel, TurnObserver* observer = nullptr);

  // [1, vocab_size], f32; overwritten by the next Append.
  ConstTensorView logits() const;

 private:
  TokenDecoder(Backend& backend, const DecoderModel& model) : backend_(&backend), model_(&model) {}
  Status RunLayers(KvCache& cache, int64_t num_tokens, TailEviction* eviction,
                   const CancelFlag* cancel, TurnObserver* observer);

  Backend* backend_;
  const DecoderModel* model_;
  DecoderWorkspace workspace_;
  Buffer ids_;      // [max_tokens], i32
  Buffer hidden_;   // [max_tokens, hidden_size], f32
  Buffer cos_sin_;  // [max_tokens, head_dim], f32
  Buffer logits_;   // [1, vocab_size], f32
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_TOKEN_DECODER_H_
