#include "fastkv/bench_pass.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/memory_guard.h"
#include "engine/batch_decoder.h"
#include "engine/sampler.h"
#include "engine/token_decoder.h"

namespace fastkv {
namespace {

// Milliseconds of `options.new_tokens` steps of one sequence.
Result<double> DecodeOne(const Engine& engine, Backend& backend, KvCache& cache, int32_t id,
                         const BenchPassOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(TokenDecoder decoder, TokenDecoder::Create(backend, engine.model(), 1));
  FASTKV_ASSIGN_OR_RETURN(const Buffer choice, backend.Allocate(4, "a chosen token"));
  if (options.on_decoding) options.on_decoding();
  const double begin_ms = engine.clock().NowMs();
  for (int64_t i = 0; i < options.new_tokens; ++i) {
    FASTKV_RETURN_IF_ERROR(decoder.Append(cache, {&id, 1}, options.cancel));
    FASTKV_ASSIGN_OR_RETURN(id, Sampler::Greedy(backend, decoder.logits(), choice));
  }
  return engine.clock().NowMs() - begin_ms;
}

// The same for a batch; `caches` holds its sequences.
Result<double> DecodeBatch(const Engine& engine, Backend& backend, std::vector<KvCache>& caches,
                           int32_t first_id, const BenchPassOptions& options) {
  const auto batch = static_cast<int64_t>(caches.size());
  FASTKV_ASSIGN_OR_RETURN(BatchDecoder decoder,
                          BatchDecoder::Create(backend, engine.model(), batch));
  std::vector<KvCache*> pointers;
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < batch; ++i) {
    pointers.push_back(&caches[i]);
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
  std::vector<KvCache> caches;
  caches.push_back(prefill->TakeCache());
  prefill.reset();
  if (options.on_prefilled) options.on_prefilled();

  FASTKV_ASSIGN_OR_RETURN(const Buffer choice, backend.Allocate(4, "a chosen token"));
  FASTKV_ASSIGN_OR_RETURN(
      const int32_t first_id,
      Sampler::Greedy(backend, logits.View(DType::kF32, {1, engine.config().vocab_size}), choice));
  for (int64_t i = 1; i < options.batch; ++i) {
    FASTKV_ASSIGN_OR_RETURN(KvCache copy, caches[0].Copy());
    caches.push_back(std::move(copy));
  }
  for (const KvCache& cache : caches) result.kv_bytes += cache.bytes_held();
  FASTKV_RETURN_IF_ERROR(backend.Synchronize());
  if (options.new_tokens > 0) {
    Result<double> decode_ms = options.batch == 1
                                   ? DecodeOne(engine, backend, caches[0], first_id, options)
                                   : DecodeBatch(engine, backend, caches, first_id, options);
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
