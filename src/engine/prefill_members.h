// The methods that one prefill serves, mostly one: each with its plan, its selector and its cache.
// At the end of a layer every member selects from the same observation and keeps its own entries.
#ifndef FASTKV_ENGINE_PREFILL_MEMBERS_H_
#define FASTKV_ENGINE_PREFILL_MEMBERS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "engine/entry_store.h"
#include "kv/kv_cache.h"
#include "method/method.h"
#include "model/model_config.h"
#include "tensor/buffer.h"

namespace fastkv {

struct PrefillMember {
  const Method* method;
  PrefillPlan plan;
  std::unique_ptr<Selector> selector;
  KvCache cache;
};

// Move-only; not thread-safe. Back end and methods must outlive it.
class PrefillMembers {
 public:
  // Plans for a prompt. Several methods must be able to read it together (shared_pass.h). Errors:
  // those of Method::Plan; kUnsupported where two cannot.
  static Result<PrefillMembers> Plan(Backend& backend, const ModelConfig& config,
                                     std::span<const Method* const> methods, int64_t prompt_tokens);

  int64_t size() const { return static_cast<int64_t>(members_.size()); }
  PrefillMember& operator[](int64_t i) { return members_[i]; }
  const PrefillMember& operator[](int64_t i) const { return members_[i]; }
  // The plan of the pass that serves all.
  PrefillPlan CommonPlan() const;

  // Takes memory for what each keeps, and for selecting. Errors: kMemory.
  Status Allocate(int64_t block_tokens);

  // The cache into which a layer may write its keys and values straight away, or null.
  LayerKv* StoreInPlace(int64_t layer);

  // Selects for every member at `layer`, or in a first pass, and stores what each keeps; members
  // that keep all share it. Returns what the first selected; its views stay valid until the next
  // call. Errors: those of Selector::Select; kMemory; kUnsupported where two send different tokens
  // on.
  Result<Selection> SelectAndStore(int64_t layer, bool in_first_pass, const LayerEntries& entries,
                                   const LayerInputs& inputs, ObservationScratch& scratch);

  // The tokens that the last cut sends on: [count], i32, on the device.
  const int32_t* token_indices() const {
    return static_cast<const int32_t*>(token_indices_.data());
  }

 private:
  PrefillMembers(Backend& backend, const ModelConfig& config)
      : backend_(&backend), config_(&config) {}
  // The first member that keeps all of a layer in the frozen part, or null.
  PrefillMember* FreezingMember(int64_t layer);
  Result<Selection> SelectFor(PrefillMember& member, int64_t layer, bool in_first_pass,
                              const LayerEntries& entries, LayerObservation& observation);
  int64_t NumWithMoments(int64_t layer) const;
  // A rule may work in place on the moments that it is given; the next one needs them as they were.
  void CopyMoments(ObservationScratch& scratch, bool back);
  Result<std::vector<int32_t>> TokensThatGoOn(const Selection& selection) const;

  Backend* backend_;
  const ModelConfig* config_;
  std::vector<PrefillMember> members_;
  Buffer kv_indices_;     // Selection::kv_indices
  Buffer token_indices_;  // Selection::token_indices of the first member
  Buffer other_indices_;  // and of another
  Buffer moments_;        // a copy, where several members want them
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_PREFILL_MEMBERS_H_
