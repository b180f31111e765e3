#include "method/composite_method.h"

#include <algorithm>
#include <utility>

namespace fastkv {
namespace {

// A share of `num_tokens` in whole tokens, in double and truncated, as the published code does it.
int64_t ShareOf(int64_t num_tokens, double rate) {
  return static_cast<int64_t>(static_cast<double>(num_tokens) * rate);
}

}  // namespace

CompositeMethod::CompositeMethod(std::string name, const ModelShape& shape,
                                 std::optional<TokenPropagation> propagation,
                                 std::unique_ptr<RetentionRule> rule, Budget kv)
    : name_(std::move(name)),
      shape_(shape),
      propagation_(propagation),
      rule_(std::move(rule)),
      kv_(kv) {}

int64_t CompositeMethod::Capacity(int64_t prompt_tokens, int64_t tokens_in, bool reduced) const {
  if (rule_ == nullptr) return tokens_in;
  int64_t capacity = 0;
  if (kv_.tokens.has_value()) {
    capacity = *kv_.tokens;
  } else if (!reduced) {
    capacity = ShareOf(tokens_in, kv_.rate);
  } else if (propagation_->budget.tokens.has_value()) {
    capacity = ShareOf(prompt_tokens, kv_.rate);
  } else {
    capacity = ShareOf(tokens_in, kv_.rate / propagation_->budget.rate);
  }
  return std::max(capacity, rule_->MinCapacity());
}

Result<PrefillPlan> CompositeMethod::Plan(int64_t prompt_tokens) const {
  FASTKV_CHECK_GE(prompt_tokens, 1);
  PrefillPlan plan;
  plan.prompt_tokens = prompt_tokens;
  int64_t tokens = prompt_tokens;
  for (int64_t i = 0; i < shape_.num_layers; ++i) {
    LayerPlan layer;
    layer.tokens_in = tokens;
    const int64_t capacity = Capacity(prompt_tokens, tokens, tokens < prompt_tokens);
    layer.kv_len = std::min(capacity, tokens);
    layer.tokens_out = tokens;
    if (propagation_.has_value() && propagation_->layer == i && capacity <= tokens) {
      const Budget& budget = propagation_->budget;
      const int64_t wanted = budget.tokens.value_or(ShareOf(tokens, budget.rate));
      layer.tokens_out = std::min(tokens, std::max(wanted, propagation_->window));
    }
    if (layer.cuts()) {
      layer.observation = Observation::kWindowScores;
      plan.window = propagation_->window;
    }
    if (!layer.keeps_all()) {
      layer.observation =
          static_cast<Observation>(static_cast<uint32_t>(layer.observation) |
                                   static_cast<uint32_t>(rule_->WantedObservation()));
      plan.window = std::max(plan.window, rule_->WindowRows());
    }
    tokens = layer.tokens_out;
    plan.layers.push_back(layer);
  }
  return plan;
}

Status CompositeMethod::Select(const PrefillPlan& plan, int64_t layer,
                               LayerObservation& observation, const Selection& selection) const {
  if (!selection.kv_indices.empty()) {
    FASTKV_RETURN_IF_ERROR(rule_->SelectEntries(observation, selection.kv_indices));
  }
  if (!selection.token_indices.empty()) {
    const int64_t tokens_out = plan.layers[layer].tokens_out;
    observation.backend().SelectTopK(
        {.scores = observation.TokenScores(propagation_->kernel, propagation_->pooling),
         .count = tokens_out - propagation_->window,
         .tail = propagation_->window,
         .out = TensorView(selection.token_indices.data(), DType::kI32, {1, tokens_out})});
  }
  return OkStatus();
}

}  // namespace fastkv
