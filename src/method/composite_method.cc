#include "method/composite_method.h"

#include <algorithm>
#include <string>
#include <utility>

#include "method/protected_tokens.h"

namespace fastkv {
namespace {

// The part of `decided` that belongs to layers before `layer`.
std::span<const CutDecision> DecidedBefore(std::span<const CutDecision> decided, int64_t layer) {
  size_t count = 0;
  while (count < decided.size() && decided[count].layer < layer) ++count;
  return decided.first(count);
}

}  // namespace

// Cut and retention select from the same observation, each as if alone.
class CompositeMethod::PromptSelector final : public Selector {
 public:
  explicit PromptSelector(const CompositeMethod& method)
      : method_(method),
        tokens_(method.propagation_ == nullptr ? nullptr : method.propagation_->NewSelector()) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    if (tokens_ != nullptr) {
      FASTKV_RETURN_IF_ERROR(tokens_->Select(plan, layer, observation, selection));
    }
    if (selection.kv_indices.empty()) return OkStatus();
    return method_.retention_->SelectEntries(plan.layers[layer], observation, selection);
  }

 private:
  const CompositeMethod& method_;
  std::unique_ptr<Selector> tokens_;
};

CompositeMethod::CompositeMethod(const MethodConfig& config, const ModelShape& shape,
                                 std::unique_ptr<PropagationRule> propagation,
                                 std::unique_ptr<RetentionRule> retention)
    : config_(config),
      shape_(shape),
      propagation_(std::move(propagation)),
      retention_(std::move(retention)) {}

std::unique_ptr<Selector> CompositeMethod::NewSelector() const {
  return std::make_unique<PromptSelector>(*this);
}

int64_t CompositeMethod::Capacity(int64_t prompt_tokens, int64_t tokens_in, bool reduced) const {
  if (retention_ == nullptr) return tokens_in;
  const Budget& kv = config_.kv;
  int64_t capacity = 0;
  if (kv.tokens.has_value() || !reduced) {
    capacity = kv.Of(tokens_in);
  } else if (const std::optional<double> share = propagation_->Share()) {
    capacity = Budget::ShareOf(tokens_in, kv.rate / *share);
  } else {
    capacity = Budget::ShareOf(prompt_tokens, kv.rate);
  }
  if (!kv.tokens.has_value()) capacity = std::max(capacity, config_.min_kv_tokens);
  return std::max({capacity, retention_->TailTokens(), int64_t{1}});
}

int64_t CompositeMethod::KvLen(int64_t layer, int64_t tokens, int64_t budget, int64_t prompt_tokens,
                               std::span<const PromptSpan> protected_tokens) const {
  if (retention_ == nullptr) return tokens;
  // Where a rule gives this layer less than the budget, protected tokens may take up to that.
  const int64_t needed = TokensNeeded(protected_tokens, prompt_tokens, retention_->TailTokens());
  const int64_t capacity = retention_->LayerCapacity(
      {.layer = layer, .prompt_tokens = prompt_tokens, .tokens = tokens, .capacity = budget});
  return std::min(std::max(capacity, std::min(needed, budget)), tokens);
}

Result<CacheBudget> CompositeMethod::BudgetFor(int64_t num_tokens,
                                               std::span<const PromptSpan> protected_tokens) const {
  FASTKV_CHECK_GE(num_tokens, 1);
  if (retention_ == nullptr && propagation_ != nullptr) {
    return UnsupportedError("the method '" + config_.name +
                            "' drops tokens while a prompt is read and has no rule that could be "
                            "applied again to the entries of its cache");
  }
  CacheBudget cache{.rule = retention_.get()};
  for (int64_t i = 0; i < shape_.num_layers; ++i) {
    const int64_t budget = Capacity(num_tokens, num_tokens, /*reduced=*/false);
    const int64_t kv_len = KvLen(i, num_tokens, budget, num_tokens, protected_tokens);
    if (kv_len < num_tokens) {
      FASTKV_RETURN_IF_ERROR(
          CheckProtectedFit(protected_tokens, num_tokens, retention_->TailTokens(), kv_len,
                            "the number of entries kept per head in layer " + std::to_string(i)));
    }
    cache.kv_len.push_back(kv_len);
  }
  return cache;
}

Status CompositeMethod::PlanCut(const CutRequest& request, const PrefillPlan& plan,
                                std::span<const CutDecision> decided, LayerPlan& layer) const {
  const LayerCut cut = propagation_->CutAt(request);
  layer.observation = layer.observation | cut.observation;
  if (cut.tokens == 0) return OkStatus();
  if (!cut.open) FASTKV_CHECK_LT(cut.tokens, layer.tokens_in);
  layer.cut_point = cut.point;
  layer.cut_tokens = cut.tokens;
  if (cut.open && request.decided.size() < decided.size()) {
    const CutDecision& decision = decided[request.decided.size()];
    FASTKV_CHECK_EQ(decision.layer, request.layer);
    layer.tokens_out = decision.tokens_out;
    layer.cut_tokens = layer.cuts() ? decision.tokens_out : 0;
    return OkStatus();
  }
  layer.cut_is_open = cut.open;
  if (!cut.open) layer.tokens_out = cut.tokens;
  return CheckProtectedFit(plan.protected_tokens, plan.prompt_tokens, cut.min_tokens, cut.tokens,
                           "the number that goes on after layer " + std::to_string(request.layer));
}

Result<PrefillPlan> CompositeMethod::Plan(int64_t prompt_tokens,
                                          std::span<const CutDecision> decided) const {
  FASTKV_CHECK_GE(prompt_tokens, 1);
  PrefillPlan plan;
  plan.prompt_tokens = prompt_tokens;
  plan.protected_tokens = ProtectedTokens(config_, prompt_tokens);
  if (propagation_ != nullptr) {
    plan.falls_gradually = propagation_->FallsGradually();
    plan.eviction = propagation_->Eviction(prompt_tokens);
  }
  int64_t tokens = prompt_tokens;
  for (int64_t i = 0; i < shape_.num_layers; ++i) {
    LayerPlan layer;
    layer.tokens_in = tokens;
    layer.tokens_out = tokens;
    const int64_t budget = Capacity(prompt_tokens, tokens, tokens < prompt_tokens);
    layer.kv_len = KvLen(i, tokens, budget, prompt_tokens, plan.protected_tokens);
    if (!layer.keeps_all()) {
      layer.unequal_heads = retention_->UnequalHeads();
      layer.observation = retention_->Wanted(tokens);
      FASTKV_RETURN_IF_ERROR(CheckProtectedFit(
          plan.protected_tokens, prompt_tokens, retention_->TailTokens(), layer.kv_len,
          "the number of entries kept per head in layer " + std::to_string(i)));
    }
    // A budget above the prompt means that it is short: no token is dropped at all. Behind a cut
    // the budget, a share of the prompt, may well be above what is left.
    const bool is_short = tokens == prompt_tokens && budget > tokens;
    const bool last = i == shape_.num_layers - 1;
    if (propagation_ != nullptr && !last && !is_short) {
      const CutRequest request{.prompt_tokens = prompt_tokens,
                               .layer = i,
                               .tokens_in = tokens,
                               .decided = DecidedBefore(decided, i)};
      FASTKV_RETURN_IF_ERROR(PlanCut(request, plan, decided, layer));
    }
    tokens = layer.tokens_out;
    plan.layers.push_back(std::move(layer));
  }
  return plan;
}

}  // namespace fastkv
