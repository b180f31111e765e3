// The entries of one sequence in one layer: a frozen part, immutable once written and shared
// between forks, and a tail that grows by one entry per later token and KV head.
#ifndef FASTKV_KV_LAYER_KV_H_
#define FASTKV_KV_LAYER_KV_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "tensor/buffer.h"

namespace fastkv {

struct KvGeometry {
  int64_t num_layers = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  DType dtype = DType::kF32;  // of keys and values as they are computed, and of the tail
  bool int8_frozen = false;   // the frozen part is in integers: KvType::kInt8

  DType frozen_dtype() const { return int8_frozen ? DType::kI8 : dtype; }
  // Bytes of one entry of one KV head as it is computed: key, value and position.
  int64_t EntryBytes() const { return 2 * head_dim * DTypeBytes(dtype) + 4; }
  // Of all entries of `num_tokens` tokens, as they are computed.
  int64_t FullBytes(int64_t num_tokens) const {
    return num_layers * num_kv_heads * num_tokens * EntryBytes();
  }
  // An entry's in the frozen part, with the scales of key and value where there are any.
  int64_t FrozenEntryBytes() const {
    return 2 * head_dim * DTypeBytes(frozen_dtype()) + 4 + (int8_frozen ? 8 : 0);
  }
};

// What prefill kept of one layer. Head a owns entries [head_begin[a], head_begin[a + 1]) of each
// array, in ascending position order.
struct FrozenKv {
  std::vector<int64_t> head_begin;  // [num_kv_heads + 1]
  Buffer keys;                      // [num_entries, head_dim], KvGeometry::frozen_dtype
  Buffer values;                    // as keys
  Buffer key_scales;                // [num_entries], f32, for integers; else empty
  Buffer value_scales;              // as key_scales
  Buffer positions;                 // [num_entries], i32

  int64_t num_entries() const { return head_begin.back(); }
};

// Entries of a layer, for GatherKv to read or to fill.
struct KvEntries {
  TensorView keys;          // [num_kv_heads, kv_len, head_dim], kv or i8
  TensorView values;        // as keys
  TensorView key_scales;    // [num_kv_heads, kv_len], f32; empty unless i8
  TensorView value_scales;  // as key_scales
  TensorView positions;     // [num_kv_heads, kv_len], i32

  // Entries [begin, end) of each head.
  KvEntries Range(int64_t begin, int64_t end) const;
  // All of these as what GatherKv reads. REQUIRES: one KV head.
  GatherKvParams AsSource() const;
  // Makes these what `gather` fills.
  void SetAsTarget(GatherKvParams& gather) const;
};

// Move-only. Not thread-safe.
class LayerKv {
 public:
  explicit LayerKv(const KvGeometry& geometry) : geometry_(geometry) {}
  LayerKv(LayerKv&&) = default;
  LayerKv& operator=(LayerKv&&) = default;

  // Takes memory for `head_len[a]` frozen entries of each KV head a and drops what was there. The
  // caller fills it through Frozen or FrozenHead. Errors: kMemory.
  Status ReserveFrozen(Backend& backend, std::span<const int64_t> head_len);

  // The same where heads will have different numbers of entries, `max_entries` together at most;
  // SetFrozenHeads says how many once it is known. Until then there are none.
  Status ReserveFrozenEntries(Backend& backend, int64_t max_entries);
  void SetFrozenHeads(std::span<const int64_t> head_len);

  // The frozen part, all heads together. REQUIRES: reserved, and all heads have the same number of
  // entries.
  KvEntries Frozen();
  // The frozen part of one KV head. REQUIRES: reserved.
  KvEntries FrozenHead(int64_t kv_head);

  // Frozen entries of KV head a.
  int64_t FrozenLen(int64_t kv_head) const;
  // The original positions of the frozen entries of KV head a, ascending. Errors: kDevice.
  Result<std::vector<int32_t>> FrozenPositionsOf(Backend& backend, int64_t kv_head) const;

  // Gives the tail room for `capacity` entries per head, keeping its first `tail_len`. Grows in
  // steps, or to exactly `capacity` where `exact`. Errors: kMemory; the tail is then as before.
  Status ReserveTail(Backend& backend, int64_t tail_len, int64_t capacity, bool exact = false);
  // Tail entries [begin, end) as [num_kv_heads, end - begin, head_dim]; positions [end - begin].
  TensorView TailKeys(int64_t begin, int64_t end);
  TensorView TailValues(int64_t begin, int64_t end);
  TensorView TailPositions(int64_t begin, int64_t end);

  // Keeps of the first `tail_len` tail entries those of `indices` [num_kv_heads, count], i32, the
  // same for every head, ascending. They go to the tail of `spare`, which has room for them, and
  // the two tails change places; `spare_positions`: [num_kv_heads, count], i32, scratch.
  void KeepTail(Backend& backend, int64_t tail_len, const ConstTensorView& indices, LayerKv& spare,
                const TensorView& spare_positions);
  int64_t tail_capacity() const { return tail_capacity_; }

  // What attention reads, with `tail_len` tail entries. Valid until the next call that reserves.
  // REQUIRES: ReserveFrozen was called.
  KvLayerView View(int64_t tail_len) const;

  // Shares the frozen part and copies the tail. Errors: kMemory.
  Result<LayerKv> Fork(Backend& backend, int64_t tail_len) const;
  // Copies both. REQUIRES: ReserveFrozen was called. Errors: kMemory.
  Result<LayerKv> Copy(Backend& backend, int64_t tail_len) const;

  int64_t bytes_held() const;

 private:
  TensorView TailView(const Buffer& buffer, int64_t begin, int64_t end) const;
  // All frozen entries as those of `num_heads` heads, `kv_len` each.
  KvEntries FrozenAs(int64_t num_heads, int64_t kv_len);

  KvGeometry geometry_;
  std::shared_ptr<FrozenKv> frozen_;
  Buffer tail_keys_;       // [num_kv_heads, tail_capacity_, head_dim]
  Buffer tail_values_;     // as tail_keys_
  Buffer tail_positions_;  // [tail_capacity_], i32
  int64_t tail_capacity_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_KV_LAYER_KV_H_
