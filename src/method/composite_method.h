// A method made of two independent choices: a propagation rule or none, and a retention rule or
// none. All methods are made of it but those that read the prompt twice.
#ifndef FASTKV_METHOD_COMPOSITE_METHOD_H_
#define FASTKV_METHOD_COMPOSITE_METHOD_H_

#include <memory>
#include <string>

#include "method/method.h"
#include "method/propagation_rule.h"
#include "method/retention_rule.h"

namespace fastkv {

class CompositeMethod final : public Method {
 public:
  // `propagation` null: every token goes through every layer. `retention` null: every entry of what
  // a layer received is kept. Of `config` the name, the KV budget and the protected tokens are
  // read.
  CompositeMethod(const MethodConfig& config, const ModelShape& shape,
                  std::unique_ptr<PropagationRule> propagation,
                  std::unique_ptr<RetentionRule> retention);

  using Method::Plan;
  std::string_view name() const override { return config_.name; }
  Result<PrefillPlan> Plan(int64_t prompt_tokens,
                           std::span<const CutDecision> decided) const override;
  std::unique_ptr<Selector> NewSelector() const override;
  Result<CacheBudget> BudgetFor(int64_t num_tokens,
                                std::span<const PromptSpan> protected_tokens) const override;

 private:
  class PromptSelector;

  // The KV budget of a layer before the retention rule sees it: docs/methods.md, "Budgets".
  // `reduced` says whether the layer comes after a cut.
  int64_t Capacity(int64_t prompt_tokens, int64_t tokens_in, bool reduced) const;
  // Entries per KV head that a layer keeps if it receives `tokens`, from `budget`, its Capacity.
  int64_t KvLen(int64_t layer, int64_t tokens, int64_t budget, int64_t prompt_tokens,
                std::span<const PromptSpan> protected_tokens) const;
  // Settles what goes on after `layer`, which is planned up to there.
  Status PlanCut(const CutRequest& request, const PrefillPlan& plan,
                 std::span<const CutDecision> decided, LayerPlan& layer) const;

  MethodConfig config_;
  ModelShape shape_;
  std::unique_ptr<PropagationRule> propagation_;
  std::unique_ptr<RetentionRule> retention_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_COMPOSITE_METHOD_H_
