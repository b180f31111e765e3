// Applies a retention rule again to a cache that later turns of a conversation have filled beyond
// its budget. No paper says how; what is done here is ours, and docs/chat.md says it in words.
//
// The entries of each KV head, kept ones and the tail behind them, are what the rule takes for the
// tokens that a layer received, in ascending position; its observation comes from the last tokens
// that were run (TurnObserver). What it keeps becomes the new frozen part, at unchanged positions
// and with unchanged keys and values; where the frozen part is in integers (KvType::kInt8), the
// tail's are rounded first.
#ifndef FASTKV_ENGINE_CACHE_COMPRESSION_H_
#define FASTKV_ENGINE_CACHE_COMPRESSION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "engine/turn_observer.h"
#include "kv/kv_cache.h"
#include "method/method.h"
#include "model/decoder_model.h"

namespace fastkv {

struct CacheCompressionParams {
  CacheBudget budget;      // with a rule
  int64_t num_tokens = 0;  // of the conversation so far; the next one's position
  std::span<const PromptSpan> protected_tokens;  // as in PrefillPlan, held by every head
  const TurnObserver* observer = nullptr;        // of the rule
};

// Whether a layer holds more than the budget's entries.
bool ExceedsBudget(const KvCache& cache, const CacheBudget& budget);

// Whether enough tokens have come since the cache was filled or reduced last for the rule to look
// at: its window must lie in the tail.
bool CanCompress(const KvCache& cache, const CacheCompressionParams& params);

// Layers that exceed the budget keep what the rule chooses, the others all; no layer has a tail
// afterwards. Takes memory for the new entries and for one layer in full. REQUIRES: CanCompress.
// Errors: kMemory, kDevice; the cache is then as before.
Status CompressCache(Backend& backend, const DecoderModel& model,
                     const CacheCompressionParams& params, KvCache& cache);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_CACHE_COMPRESSION_H_
