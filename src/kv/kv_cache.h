// One sequence's keys and values: per layer and KV head the entries that prefill kept, each with
// its original position for life, and behind them the entries of later tokens. Which method chose
// the kept ones is not known here. Read layer_kv.h first.
#ifndef FASTKV_KV_KV_CACHE_H_
#define FASTKV_KV_KV_CACHE_H_

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "kv/layer_kv.h"

namespace fastkv {

// Move-only; Fork() gives a second sequence. Not thread-safe. The back end must outlive it.
class KvCache {
 public:
  KvCache(Backend& backend, const KvGeometry& geometry);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  const KvGeometry& geometry() const { return geometry_; }
  LayerKv& layer(int64_t i) { return layers_[i]; }
  const LayerKv& layer(int64_t i) const { return layers_[i]; }

  // The position that the next token gets; set after prefill, counted up by AppendTokens.
  int64_t next_position() const { return next_position_; }
  void set_next_position(int64_t position) {
    next_position_ = position;
    num_positions_written_ = tail_len_;
  }

  // Makes room for `num_tokens` more tail entries in every layer and writes their positions
  // next_position() .. next_position() + num_tokens - 1. The caller then stores keys and values
  // through LayerKv::TailKeys and TailValues of every layer. Errors: kMemory; the cache is then as
  // before.
  Status AppendTokens(int64_t num_tokens);

  // Takes the last `num_tokens` tail entries back. REQUIRES: num_tokens <= tail_len().
  void RemoveLastTokens(int64_t num_tokens);

  // Gives every layer a tail of exactly `tail_len` entries, which the caller then fills; positions
  // go on from next_position(). REQUIRES: no tail yet. Errors: kMemory.
  Status ReserveTail(int64_t tail_len);

  // Keeps of the tail of each layer the entries `indices` [num_layers, count], i32, ascending, the
  // same for all KV heads. Positions of later tokens do not change. REQUIRES: ReserveSpare since
  // the last AppendTokens.
  void KeepTail(const ConstTensorView& indices);
  // Takes the memory that KeepTail gathers to. Errors: kMemory.
  Status ReserveSpare();

  // Takes `layers`, one for each layer and without tails, for all that was held; the memory of the
  // tails goes back. The next position stays. REQUIRES: their frozen parts are reserved.
  void Replace(std::vector<LayerKv> layers);

  // Entries of every KV head in every layer behind the frozen part.
  int64_t tail_len() const { return tail_len_; }

  // Original positions of all entries of one KV head of a layer, ascending. Errors: kDevice.
  Result<std::vector<int32_t>> PositionsOf(int64_t layer, int64_t kv_head) const;

  // A second sequence that shares the frozen part and owns a copy of the tail. Errors: kMemory.
  Result<KvCache> Fork() const;

  // A second sequence that shares nothing. Errors: kMemory.
  Result<KvCache> Copy() const;

  // Bytes of device memory held for keys, values and positions, from the allocations themselves. A
  // frozen part that several sequences share counts in each.
  int64_t bytes_held() const;

 private:
  // Writes the positions that the free slots of the tails will have: the device waits for none of
  // them while it decodes.
  Status WritePositionsAhead();

  Backend* backend_;
  KvGeometry geometry_;
  std::vector<LayerKv> layers_;
  // Where KeepTail gathers to.
  LayerKv spare_;
  Buffer spare_positions_;  // [num_kv_heads, tail capacity], i32
  int64_t tail_len_ = 0;
  int64_t num_positions_written_ = 0;  // slots of every layer's tail whose position stands
  int64_t next_position_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_KV_KV_CACHE_H_
