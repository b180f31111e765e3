#include "method/gemfilter_method.h"

#include <algorithm>

#include "method/protected_tokens.h"

namespace fastkv {
namespace {

// The published code pools with this width whatever is configured.
constexpr int64_t kKernel = 5;

class GemFilterSelector final : public Selector {
 public:
  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    const int64_t tokens_out = plan.selection_pass[layer].tokens_out;
    observation.SelectTop(observation.PooledQueryScores(kKernel, PoolingKind::kAverage), 0,
                          TensorView(selection.token_indices.data(), DType::kI32, {1, tokens_out}));
    return OkStatus();
  }
};

}  // namespace

Result<PrefillPlan> GemFilterMethod::Plan(int64_t prompt_tokens,
                                          std::span<const CutDecision> /*decided*/) const {
  FASTKV_CHECK_GE(prompt_tokens, 1);
  PrefillPlan plan;
  plan.prompt_tokens = prompt_tokens;
  plan.renumbers = true;
  plan.protected_tokens = ProtectedTokens(config_, prompt_tokens);
  const int64_t least =
      config_.kv.tokens.has_value() ? 1 : std::max<int64_t>(1, config_.min_kv_tokens);
  const int64_t kept = std::min(std::max(config_.kv.Of(prompt_tokens), least), prompt_tokens);
  FASTKV_RETURN_IF_ERROR(CheckProtectedFit(plan.protected_tokens, prompt_tokens, 0, kept,
                                           "the number of tokens kept"));
  plan.layers.assign(shape_.num_layers, {.tokens_in = kept, .kv_len = kept, .tokens_out = kept});
  if (kept == prompt_tokens) return plan;
  plan.selection_pass.assign(filter_layer_ + 1,
                             {.tokens_in = prompt_tokens, .tokens_out = prompt_tokens});
  LayerPlan& last = plan.selection_pass.back();
  last.tokens_out = kept;
  last.cut_tokens = kept;
  last.observation.query_rows = 1;
  return plan;
}

Result<CacheBudget> GemFilterMethod::BudgetFor(
    int64_t /*num_tokens*/, std::span<const PromptSpan> /*protected_tokens*/) const {
  return UnsupportedError("the method '" + config_.name +
                          "' chooses the tokens of a whole prompt and reads them a second time; it "
                          "cannot be applied again to the entries of its cache");
}

std::unique_ptr<Selector> GemFilterMethod::NewSelector() const {
  return std::make_unique<GemFilterSelector>();
}

}  // namespace fastkv
