// GemFilter: the prompt is read twice, first through a few layers to choose tokens, then the chosen
// tokens alone, as a prompt of their own, through all layers. Source: arXiv 2409.17422.
#ifndef FASTKV_METHOD_GEMFILTER_METHOD_H_
#define FASTKV_METHOD_GEMFILTER_METHOD_H_

#include <memory>

#include "method/method.h"

namespace fastkv {

class GemFilterMethod final : public Method {
 public:
  // `filter_layer`: the last layer of the first pass, zero-based. Of `config` the name, the KV
  // budget and the protected tokens are read.
  GemFilterMethod(const MethodConfig& config, const ModelShape& shape, int64_t filter_layer)
      : config_(config), shape_(shape), filter_layer_(filter_layer) {}

  using Method::Plan;
  std::string_view name() const override { return config_.name; }
  Result<PrefillPlan> Plan(int64_t prompt_tokens,
                           std::span<const CutDecision> decided) const override;
  std::unique_ptr<Selector> NewSelector() const override;
  Result<CacheBudget> BudgetFor(int64_t num_tokens,
                                std::span<const PromptSpan> protected_tokens) const override;

 private:
  MethodConfig config_;
  ModelShape shape_;
  int64_t filter_layer_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_GEMFILTER_METHOD_H_
