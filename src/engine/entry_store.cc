#include "engine/entry_store.h"

#include <vector>

namespace fastkv {
namespace {

GatherKvParams SourceOf(const LayerEntries& entries) {
  return {.keys = entries.keys, .values = entries.values, .positions = entries.positions};
}

GatherKvParams SourceOf(const LayerEntries& entries, int64_t head) {
  return {.keys = entries.keys.Rows(head, head + 1),
          .values = entries.values.Rows(head, head + 1),
          .positions = entries.positions};
}

}  // namespace

Status ReserveEntries(Backend& backend, const PrefillPlan& plan, int64_t layer, KvCache& cache) {
  const LayerPlan& layer_plan = plan.layers[layer];
  const int64_t num_kv_heads = cache.geometry().num_kv_heads;
  if (layer_plan.unequal_heads) {
    return cache.layer(layer).ReserveFrozenEntries(backend, layer_plan.MaxEntries(num_kv_heads));
  }
  const int64_t recent = plan.eviction.has_value() ? plan.eviction->recent_rows : 0;
  const std::vector<int64_t> head_len(num_kv_heads, layer_plan.kv_len - recent);
  return cache.layer(layer).ReserveFrozen(backend, head_len);
}

bool FreezesAll(const PrefillPlan& plan, int64_t layer) {
  return plan.layers[layer].keeps_all() && !plan.eviction.has_value();
}

void StoreAll(Backend& backend, const LayerEntries& entries, LayerKv& kept) {
  GatherKvParams gather = SourceOf(entries);
  kept.Frozen().SetAsTarget(gather);
  backend.GatherKv(gather);
}

void StoreSelected(Backend& backend, const LayerEntries& entries, const LayerPlan& plan,
                   const Selection& selection, LayerKv& kept) {
  if (!plan.unequal_heads) {
    GatherKvParams gather = SourceOf(entries);
    gather.indices = selection.kv_indices;
    kept.Frozen().SetAsTarget(gather);
    backend.GatherKv(gather);
    return;
  }
  kept.SetFrozenHeads(selection.head_kv_len);
  int64_t begin = 0;
  for (int64_t head = 0; head < entries.keys.dim(0); ++head) {
    const int64_t end = begin + selection.head_kv_len[head];
    GatherKvParams gather = SourceOf(entries, head);
    gather.indices =
        TensorView(selection.kv_indices.Rows(begin, end).data(), DType::kI32, {1, end - begin});
    kept.FrozenHead(head).SetAsTarget(gather);
    backend.GatherKv(gather);
    begin = end;
  }
}

void StoreSplit(Backend& backend, const LayerEntries& entries, int64_t recent, LayerKv& kept) {
  const int64_t num_tokens = entries.keys.dim(1);
  const int64_t older = num_tokens - recent;
  const int64_t vector_bytes = entries.keys.dim(2) * DTypeBytes(entries.keys.dtype());
  for (int64_t head = 0; head < entries.keys.dim(0); ++head) {
    GatherKvParams gather = SourceOf(entries, head);
    gather.keys = gather.keys.Slice(1, 0, older);
    gather.values = gather.values.Slice(1, 0, older);
    kept.FrozenHead(head).SetAsTarget(gather);
    backend.GatherKv(gather);
    const auto copy = [&](const TensorView& from, const TensorView& tail) {
      backend.Copy(tail.Rows(head, head + 1).data(),
                   from.Rows(head, head + 1).Slice(1, older, num_tokens).data(),
                   recent * vector_bytes);
    };
    copy(entries.keys, kept.TailKeys(0, recent));
    copy(entries.values, kept.TailValues(0, recent));
  }
  backend.Copy(kept.TailPositions(0, recent).data(), entries.positions + older, 4 * recent);
}

}  // namespace fastkv
