// From logits to the next token: greedy, or sampled with temperature, top-k, top-p, min-p and a
// repetition penalty, in the order that Transformers applies them. Every choice follows from the
// seed.
#ifndef FASTKV_ENGINE_SAMPLER_H_
#define FASTKV_ENGINE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/random.h"
#include "base/status.h"
#include "tensor/buffer.h"

namespace fastkv {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy; the other fields but repetition_penalty then do nothing
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // in (0, 1]; 1: off
  double min_p = 0;        // in [0, 1); 0: off
  double repetition_penalty = 1;  // > 0; 1: off
  uint64_t seed = 0;
};

// Errors: kInvalidArgument naming the field, its value and what is allowed.
Status CheckSamplingOptions(const SamplingOptions& options);

// Not thread-safe. The back end must outlive it.
class Sampler {
 public:
  // `prompt_ids` count as seen for the repetition penalty. Errors: kMemory.
  static Result<Sampler> Create(Backend& backend, const SamplingOptions& options,
                                int64_t vocab_size, std::span<const int32_t> prompt_ids);

  // The token with the largest logit, the lowest of equals; `choice` is device scratch of 4 bytes.
  // Errors: as Next.
  static Result<int32_t> Greedy(Backend& backend, ConstTensorView logits, const Buffer& choice);

  // The next token from logits [1, vocab_size], f32, device memory; it counts as seen afterwards.
  // Errors: kNumeric where a logit is NaN or +infinity, kDevice.
  Result<int32_t> Next(ConstTensorView logits);

 private:
  Sampler(Backend& backend, const SamplingOptions& options)
      : backend_(&backend), options_(options), random_(options.seed) {}
  void ApplyRepetitionPenalty(std::vector<float>& logits) const;
  int32_t Draw(const std::vector<float>& logits);

  Backend* backend_;
  SamplingOptions options_;
  Random random_;
  Buffer choice_;               // [1], i32
  std::vector<uint8_t> seen_;   // [vocab_size], where the penalty is on
  std::vector<int32_t> order_;  // scratch of Draw
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_SAMPLER_H_
