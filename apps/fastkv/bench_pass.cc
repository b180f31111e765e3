#include "fastkv/bench_pass.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/memory_guard.h"
#include "engine/batch_decoder.h"
#include "engine/sampler.h"
#include "engine/tail_eviction.h"
#include "engine/token_decoder.h"

namespace fastkv {
namespace {

// A prompt that was read.
struct Sequence {
  KvCache cache;
  std::optional<TailEviction> eviction;

  TailEviction* eviction_or_null() { return eviction.has_value() ? &*eviction : nullptr; }
};

Result<Sequence> CopyOf(const Sequence& sequence) {
  FASTKV_ASSIGN_OR_RETURN(KvCache cache, sequence.cache.Copy());
  Sequence copy{.cache = std::move(cache)};
  if (sequence.eviction.has_value()) {
    FASTKV_ASSIGN_OR_RETURN(TailEviction eviction, sequence.eviction->Fork());
    copy.eviction.emplace(std::move(eviction));
  }
  return copy;
}

// Milliseconds of `options.new_tokens` steps of one sequence.
Result<double> DecodeOne(const Engine& engine, Backend& backend, Sequence& sequence, int32_t id,
                         const BenchPassOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(TokenDecoder decoder, TokenDecoder::Create(backend, engine.model(), 1));
  FASTKV_ASSIGN_OR_RETURN(const Buffer choice, backend.Allocate(4, "a chosen token"));
  if (options.on_decoding) options.on_decoding();
  const double begin_ms = engine.clock().NowMs();
  for (int64_t i = 0; i < options.new_tokens; ++i) {
    FASTKV_RETURN_IF_ERROR(
        decoder.Append(sequence.cache, {&id, 1}, sequence.eviction_or_null(), options.cancel));
    FASTKV_ASSIGN_OR_RETURN(id, Sampler::Greedy(backend, decoder.logits(), choice));
  }
  return engine.clock().NowMs() - begin_ms;
}

// The same for a batch.
Result<double> DecodeBatch(const Engine& engine, Backend& backend, std::vector<Sequence>& sequences,
                           int32_t first_id, const BenchPassOptions& options) {
  const auto batch = static_cast<int64_t>(sequences.size());
  FASTKV_ASSIGN_OR_RETURN(BatchDecoder decoder,
                          BatchDecoder::Create(backend, engine.model(), batch));
  std::vector<BatchSequence> pointers;
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < batch; ++i) {
    pointers.push_back({.cache = &sequences[i].cache, .eviction = sequences[i].eviction_or_null()});
    // The sequences part from the first token on.
    ids.push_back(static_cast<int32_t>((first_id + i) % engine.config().vocab_size));
  }
  if (options.on_decoding) options.on_decoding();
  const double begin_ms = engine.clock().NowMs();
  for (int64_t i = 0; i < options.new_tokens; ++i) {
    FASTKV_RETURN_IF_ERROR(decoder.Step(pointers, ids, options.cancel));
    FASTKV_ASSIGN_OR_RETURN(ids, decoder.GreedyIds());
  }
  return engine.clock().NowMs() - begin_ms;
}

Result<BenchPassResult> Run(const Engine& engine, Backend& backend, const Method& method,
                            const BenchPassOptions& options) {
  TrackingAllocator& allocator = backend.allocator();
  const int64_t held_before = allocator.held_bytes();
  allocator.ResetPeak();
  BenchPassResult result;
  const double begin_ms = engine.clock().NowMs();
  FASTKV_ASSIGN_OR_RETURN(
      std::unique_ptr<Prefill> prefill,
      Prefill::Start(backend, engine.model(), method, options.ids, {.cancel = options.cancel}));
  while (!prefill->done()) {
    FASTKV_RETURN_IF_ERROR(prefill->Step());
    if (options.on_progress) options.on_progress(prefill->progress());
    result.prefill_ms = engine.clock().NowMs() - begin_ms;
    if (options.prefill_limit_ms > 0 && result.prefill_ms > options.prefill_limit_ms) return result;
  }
  const Buffer logits = prefill->TakeLogits();
  std::vector<Sequence> sequences;
  sequences.push_back({.cache = prefill->TakeCache(), .eviction = prefill->TakeEviction()});
  result.plan = prefill->plan();
  prefill.reset();
  if (options.on_prefilled) options.on_prefilled();

  FASTKV_ASSIGN_OR_RETURN(const Buffer choice, backend.Allocate(4, "a chosen token"));
  FASTKV_ASSIGN_OR_RETURN(
      const int32_t first_id,
      Sampler::Greedy(backend, logits.View(DType::kF32, {1, engine.config().vocab_size}), choice));
  for (int64_t i = 1; i < options.batch; ++i) {
    FASTKV_ASSIGN_OR_RETURN(Sequence copy, CopyOf(sequences[0]));
    sequences.push_back(std::move(copy));
  }
  for (const Sequence& sequence : sequences) result.kv_bytes += sequence.cache.bytes_held();
  FASTKV_RETURN_IF_ERROR(backend.Synchronize());
  if (options.new_tokens > 0) {
    Result<double> decode_ms = options.batch == 1
                                   ? DecodeOne(engine, backend, sequences[0], first_id, options)
                                   : DecodeBatch(engine, backend, sequences, first_id, options);
    FASTKV_ASSIGN_OR_RETURN(result.decode_ms, std::move(decode_ms));
  }
  result.peak_bytes = allocator.peak_bytes() - held_before;
  FASTKV_RETURN_IF_ERROR(engine.CheckWeightsIntact());
  result.complete = true;
  return result;
}

}  // namespace

Result<BenchPassResult> RunBenchPass(const Engine& engine, Backend& backend, const Method& method,
                                     const BenchPassOptions& options) {
  return WithMemoryErrors("measuring", [&] { return Run(engine, backend, method, options); });
}

}  // namespace fastkv
