// Puts what a layer keeps of its keys and values into the cache.
#ifndef FASTKV_ENGINE_ENTRY_STORE_H_
#define FASTKV_ENGINE_ENTRY_STORE_H_

#include <cstdint>

#include "backend/backend.h"
#include "base/status.h"
#include "kv/kv_cache.h"
#include "method/method.h"
#include "method/prefill_plan.h"

namespace fastkv {

// All entries of a layer, in received order.
struct LayerEntries {
  TensorView keys;                     // [num_kv_heads, tokens, head_dim], kv
  TensorView values;                   // as keys
  const int32_t* positions = nullptr;  // device: [tokens]
};

// Takes memory for what layer `layer` of `plan` keeps. Errors: kMemory.
Status ReserveEntries(Backend& backend, const PrefillPlan& plan, int64_t layer, KvCache& cache);

// Whether all that the layer received becomes its frozen part. Where that is not in integers, the
// layer may write its keys and values straight into it.
bool FreezesAll(const PrefillPlan& plan, int64_t layer);

// Copies all entries of a layer that FreezesAll.
void StoreAll(Backend& backend, const LayerEntries& entries, LayerKv& kept);

// Copies the selected entries of a layer that keeps fewer than it received.
void StoreSelected(Backend& backend, const LayerEntries& entries, const LayerPlan& plan,
                   const Selection& selection, LayerKv& kept);

// Keeps everything, the last `recent` entries in the tail, where eviction finds them.
void StoreSplit(Backend& backend, const LayerEntries& entries, int64_t recent, LayerKv& kept);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_ENTRY_STORE_H_
