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
  DType dtype = DType::kF32;  // of keys and values

  // Bytes of one entry of one KV head: key, value and position.
  int64_t EntryBytes() const { return 2 * head_dim * DTypeBytes(dtype) + 4; }
};

// What prefill kept of one layer. Head a owns entries [head_begin[a], head_begin[a + 1]) of each
// array, in ascending position order.
struct FrozenKv {
  std::vector<int64_t> head_begin;  // [num_kv_heads + 1]
  Buffer keys;                      // [num_entries, head_dim], kv type
  Buffer values;                    // as keys
  Buffer positions;                 // [num_entries], i32

  int64_t num_entries() const { return head_begin.back(); }
};

// Move-only. Not thread-safe.
class LayerKv {
 public:
  explicit LayerKv(const KvGeometry& geometry) : geometry_(geometry) {}
  LayerKv(LayerKv&&) = default;
  LayerKv& operator=(LayerKv&&) = default;

  // Takes memory for `head_len[a]` frozen entries of each KV head a and drops what was there. The
  // caller fills it through FrozenKeys and its siblings. Errors: kMemory.
  Status ReserveFrozen(Backend& backend, std::span<const int64_t> head_len);

  // The same where heads will have different numbers of entries, `max_entries` together at most;
  // SetFrozenHeads says how many once it is known. Until then there are none.
  Status ReserveFrozenEntries(Backend& backend, int64_t max_entries);
  void SetFrozenHeads(std::span<const int64_t> head_len);

  // The frozen part as [num_kv_heads, kv_len, head_dim] (positions: [num_kv_heads, kv_len]).
  // REQUIRES: reserved, and all heads have the same number of entries.
  TensorView FrozenKeys();
  TensorView FrozenValues();
  TensorView FrozenPositions();

  // The frozen part of one KV head as [1, FrozenLen(kv_head), head_dim] (positions: [1, len]).
  TensorView HeadKeys(int64_t kv_head);
  TensorView HeadValues(int64_t kv_head);
  TensorView HeadPositions(int64_t kv_head);

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
  TensorView HeadView(const Buffer& buffer, int64_t kv_head) const;

  KvGeometry geometry_;
  std::shared_ptr<FrozenKv> frozen_;
  Buffer tail_keys_;       // [num_kv_heads, tail_capacity_, head_dim]
  Buffer tail_values_;     // as tail_keys_
  Buffer tail_positions_;  // [tail_capacity_], i32
  int64_t tail_capacity_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_KV_LAYER_KV_H_
