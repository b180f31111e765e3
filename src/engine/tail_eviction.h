// Drops entries while decoding: PrefillPlan::eviction, docs/methods.md "PyramidInfer". The last
// rows' attention decides, which would take their queries to remember; instead each entry carries
// two sums of the attention it got from later rows, plain and weighted with the row's number, since
// the weights that rows have at the time of a decision are linear in that number.
//
// Rows and entries count from the first entry of the cache's tail: row r belongs to entry r, the
// prompt's recent rows come first, generated tokens follow. Entries leave the recent ones in groups
// of EvictionPlan::step_tokens, whose own rows no longer count by then: sums take rows of later
// groups only. All layers drop equally many entries at the same time.
#ifndef FASTKV_ENGINE_TAIL_EVICTION_H_
#define FASTKV_ENGINE_TAIL_EVICTION_H_

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "engine/observation_recorder.h"
#include "kv/kv_cache.h"
#include "method/prefill_plan.h"
#include "model/decoder_model.h"
#include "tensor/buffer.h"

namespace fastkv {

// State of one sequence. Move-only; Fork() gives a second one. Not thread-safe. Back end and model
// must outlive it.
class TailEviction {
 public:
  // REQUIRES: plan.eviction. Errors: kMemory, kDevice.
  static Result<TailEviction> Create(Backend& backend, const DecoderModel& model,
                                     const PrefillPlan& plan);
  // What Create takes.
  static int64_t NumBytes(const ModelConfig& config, const ComputeTypes& types,
                          const EvictionPlan& plan);

  // While the prompt is read: adds the attention of a block of rows of a layer that received
  // `tokens`; rows before the recent ones are passed over. Blocks come in order.
  void RecordPrompt(int64_t layer, int64_t tokens, const AttendedRows& rows);

  // While decoding, for each new token, once the cache has room for it: takes the memory that
  // FinishToken may need. Errors: kMemory.
  Status ReserveForToken(KvCache& cache);
  // Then where the attention of layer `layer` writes its normalisers, [1, num_q_heads], f32, and
  // its queries [1, num_q_heads, head_dim], act.
  TensorView LogSumExp(int64_t layer) const;
  void RecordToken(int64_t layer, ConstTensorView queries);
  // After the token went through all layers and stands at the end of the cache's tail: drops
  // entries where it is time. Errors: kDevice.
  Status FinishToken(KvCache& cache);

  // Errors: kMemory.
  Result<TailEviction> Fork() const;

 private:
  // Rows [first, first + queries.dim(0)) of a layer and what they attend to.
  struct Rows {
    int64_t layer = 0;
    int64_t first = 0;
    ConstTensorView queries;
    ConstTensorView log_sum_exp;
    ConstTensorView numbers;  // [rows], f32: the rows' numbers
  };

  TailEviction(Backend& backend, const DecoderModel& model, const EvictionPlan& plan)
      : backend_(&backend), model_(&model), plan_(plan) {}
  Status AllocateMemory();

  // Entries that sums are held for, in a layer: [kind, num_kv_heads, slots] with kind 0 the plain
  // sums, kind 1 those weighted with row numbers. As [2 num_kv_heads, slots], f32.
  TensorView SumsOf(int64_t layer) const;
  TensorView PendingQueries(int64_t layer) const;
  TensorView PendingLogSumExp(int64_t layer) const;

  // Adds rows to the sums of entries [begin, end). `keys` and `positions` start at entry `begin`.
  void Add(const Rows& rows, int64_t begin, int64_t end, ConstTensorView keys,
           const int32_t* positions);
  // Adds rows of one group to all older groups. `keys` and `positions` start at entry `begin` and
  // reach the rows' own entries.
  void AddGroupRows(const Rows& rows, int64_t begin, ConstTensorView keys,
                    const int32_t* positions);
  // Forgets what entries [begin, end) got, in rows of SumsOf stacked over layers.
  void Clear(const TensorView& sums, int64_t begin, int64_t end);
  Status AddPending(const KvCache& cache);
  Status Evict(KvCache& cache);
  // Of the oldest group, the entries of one layer that stay, ascending. `sums`: [2, step_tokens].
  std::vector<int64_t> KeptOfGroup(const float* sums) const;
  // Moves the sums to the front of their memory when it is used up.
  void MakeRoom();

  // Whether a whole group has left the recent entries once there are `num_rows` rows.
  bool GroupHasLeft(int64_t num_rows) const {
    return num_rows - plan_.recent_rows - oldest_ >= plan_.step_tokens;
  }
  int64_t GroupBegin(int64_t row) const { return row / plan_.step_tokens * plan_.step_tokens; }

  Backend* backend_;
  const DecoderModel* model_;
  EvictionPlan plan_;
  std::vector<ColumnSpan> protected_entries_;

  int64_t slots_ = 0;
  Buffer sums_;                 // [num_layers, 2, num_kv_heads, slots], f32
  Buffer group_sums_;           // [num_layers, 2, step_tokens], f32: over KV heads
  Buffer pending_queries_;      // [num_layers, step_tokens, num_q_heads, head_dim], act
  Buffer pending_log_sum_exp_;  // [num_layers, step_tokens, num_q_heads], f32
  Buffer row_numbers_;          // [recent_rows] in prefill, then [step_tokens], f32
  Buffer kept_indices_;         // grows with the tail

  int64_t num_rows_ = 0;
  int64_t num_pending_ = 0;  // of them, not yet added
  int64_t oldest_ = 0;       // first entry whose group is not decided
  int64_t slot_base_ = 0;    // the entry that stands in slot 0
  int64_t num_dropped_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_TAIL_EVICTION_H_
