#include "engine/prefill_members.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "engine/shared_pass.h"

namespace fastkv {
namespace {

Status CannotReadTogether(const PrefillMember& a, const PrefillMember& b) {
  return UnsupportedError("the methods '" + std::string(a.method->name()) + "' and '" +
                          std::string(b.method->name()) +
                          "' cannot read a prompt together; run them one after another");
}

}  // namespace

Result<PrefillMembers> PrefillMembers::Plan(Backend& backend, const ModelConfig& config,
                                            std::span<const Method* const> methods,
                                            int64_t prompt_tokens) {
  FASTKV_CHECK(!methods.empty());
  PrefillMembers members(backend, config);
  for (const Method* method : methods) {
    FASTKV_ASSIGN_OR_RETURN(PrefillPlan plan, method->Plan(prompt_tokens));
    members.members_.push_back({.method = method,
                                .plan = std::move(plan),
                                .selector = method->NewSelector(),
                                .cache = KvCache(backend, KvGeometryOf(config, backend.types()))});
    for (int64_t i = 0; i + 1 < members.size(); ++i) {
      const PrefillMember& newest = members.members_.back();
      if (!CanReadTogether(members[i].plan, newest.plan)) {
        return CannotReadTogether(members[i], newest);
      }
    }
  }
  return members;
}

PrefillPlan PrefillMembers::CommonPlan() const {
  std::vector<PrefillPlan> plans;
  for (const PrefillMember& member : members_) plans.push_back(member.plan);
  return CommonPass(plans);
}

Status PrefillMembers::Allocate(int64_t block_tokens) {
  int64_t num_kv_indices = 0;
  int64_t num_token_indices = 0;
  bool copies_moments = false;
  for (int64_t layer = 0; layer < config_->num_layers; ++layer) {
    const PrefillMember* const freezing = FreezingMember(layer);
    for (PrefillMember& member : members_) {
      // Will share what that one keeps.
      if (&member != freezing && FreezesAll(member.plan, layer)) continue;
      FASTKV_RETURN_IF_ERROR(ReserveEntries(*backend_, member.plan, layer, member.cache));
    }
    copies_moments = copies_moments || NumWithMoments(layer) > 1;
  }
  for (const PrefillMember& member : members_) {
    const PrefillSizes sizes =
        SizesOf(member.plan, config_->num_kv_heads, backend_->types(), block_tokens);
    num_kv_indices = std::max(num_kv_indices, sizes.kv_indices);
    num_token_indices = std::max(num_token_indices, sizes.token_indices);
  }
  FASTKV_ASSIGN_OR_RETURN(kv_indices_,
                          backend_->Allocate(4 * num_kv_indices, "indices of kept entries"));
  FASTKV_ASSIGN_OR_RETURN(
      token_indices_, backend_->Allocate(4 * num_token_indices, "indices of propagated tokens"));
  if (size() > 1) {
    FASTKV_ASSIGN_OR_RETURN(
        other_indices_, backend_->Allocate(4 * num_token_indices, "indices of propagated tokens"));
  }
  if (copies_moments) {
    const int64_t num_moments = config_->num_q_heads * config_->head_dim * (1 + config_->head_dim);
    FASTKV_ASSIGN_OR_RETURN(moments_, backend_->Allocate(4 * num_moments, "moments of queries"));
  }
  return OkStatus();
}

PrefillMember* PrefillMembers::FreezingMember(int64_t layer) {
  const auto member = std::find_if(members_.begin(), members_.end(), [&](const PrefillMember& m) {
    return FreezesAll(m.plan, layer);
  });
  return member == members_.end() ? nullptr : &*member;
}

LayerKv* PrefillMembers::StoreInPlace(int64_t layer) {
  if (backend_->types().has_int8_kv()) return nullptr;
  PrefillMember* const member = FreezingMember(layer);
  return member == nullptr ? nullptr : &member->cache.layer(layer);
}

int64_t PrefillMembers::NumWithMoments(int64_t layer) const {
  return std::count_if(members_.begin(), members_.end(), [&](const PrefillMember& member) {
    const std::vector<LayerPlan>& layers = member.plan.layers;
    return layers[layer].observation.query_moments;
  });
}

void PrefillMembers::CopyMoments(ObservationScratch& scratch, bool back) {
  const TensorView sum = scratch.QuerySum();
  const TensorView products = scratch.QueryProducts();
  const int64_t sum_bytes = 4 * sum.num_elements();
  auto* const saved_moments = static_cast<std::byte*>(moments_.data());
  const auto copy_part = [&](void* moments, std::byte* saved, int64_t num_bytes) {
    backend_->Copy(back ? moments : saved, back ? saved : moments, num_bytes);
  };
  copy_part(sum.data(), saved_moments, sum_bytes);
  copy_part(products.data(), saved_moments + sum_bytes, 4 * products.num_elements());
}

Result<Selection> PrefillMembers::SelectAndStore(int64_t layer, bool in_first_pass,
                                                 const LayerEntries& entries,
                                                 const LayerInputs& inputs,
                                                 ObservationScratch& scratch) {
  PrefillMember* const freezing = in_first_pass ? nullptr : FreezingMember(layer);
  if (freezing != nullptr && StoreInPlace(layer) == nullptr) {
    StoreAll(*backend_, entries, freezing->cache.layer(layer));
  }
  const bool copies_moments = !in_first_pass && NumWithMoments(layer) > 1;
  if (copies_moments) CopyMoments(scratch, /*back=*/false);
  Selection first;
  std::vector<int32_t> first_tokens;
  for (int64_t i = 0; i < size(); ++i) {
    PrefillMember& member = members_[i];
    if (copies_moments && i > 0) CopyMoments(scratch, /*back=*/true);
    if (freezing != nullptr && &member != freezing && FreezesAll(member.plan, layer)) {
      FASTKV_ASSIGN_OR_RETURN(member.cache.layer(layer),
                              freezing->cache.layer(layer).Fork(*backend_, /*tail_len=*/0));
    }
    LayerObservation observation(*backend_, scratch, inputs);
    FASTKV_ASSIGN_OR_RETURN(Selection selection,
                            SelectFor(member, layer, in_first_pass, entries, observation));
    if (size() > 1 && !selection.token_indices.empty()) {
      FASTKV_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, TokensThatGoOn(selection));
      if (i > 0 && tokens != first_tokens) return CannotReadTogether(members_[0], member);
      first_tokens = std::move(tokens);
    }
    if (i == 0) first = std::move(selection);
  }
  return first;
}

Result<Selection> PrefillMembers::SelectFor(PrefillMember& member, int64_t layer,
                                            bool in_first_pass, const LayerEntries& entries,
                                            LayerObservation& observation) {
  const LayerPlan& plan =
      in_first_pass ? member.plan.selection_pass[layer] : member.plan.layers[layer];
  const bool drops_entries = !in_first_pass && !plan.keeps_all();
  Selection selection;
  selection.tokens_out = plan.tokens_out;
  if (!drops_entries && !plan.may_cut() && !plan.observation.any()) return selection;
  if (drops_entries) {
    selection.kv_indices =
        plan.unequal_heads ? kv_indices_.View(DType::kI32, {plan.MaxEntries(config_->num_kv_heads)})
                           : kv_indices_.View(DType::kI32, {config_->num_kv_heads, plan.kv_len});
  }
  if (plan.may_cut()) {
    const Buffer& indices = &member == &members_.front() ? token_indices_ : other_indices_;
    selection.token_indices = indices.View(DType::kI32, {plan.cut_tokens});
  }
  FASTKV_RETURN_IF_ERROR(member.selector->Select(member.plan, layer, observation, selection));
  if (drops_entries) {
    StoreSelected(*backend_, entries, plan, selection, member.cache.layer(layer));
  }
  return selection;
}

Result<std::vector<int32_t>> PrefillMembers::TokensThatGoOn(const Selection& selection) const {
  std::vector<int32_t> tokens(selection.tokens_out);
  FASTKV_RETURN_IF_ERROR(backend_->CopyToHost(tokens.data(), selection.token_indices.data(),
                                              4 * selection.tokens_out));
  return tokens;
}

}  // namespace fastkv
