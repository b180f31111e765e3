// A method made of two independent choices: token-selective propagation (TSP) or none, and a
// retention rule or none. `full`, `fastkv` and every retention-only method are made of it.
#ifndef FASTKV_METHOD_COMPOSITE_METHOD_H_
#define FASTKV_METHOD_COMPOSITE_METHOD_H_

#include <memory>
#include <optional>
#include <string>

#include "method/method.h"
#include "method/retention_rule.h"

namespace fastkv {

// Token-selective propagation: after layer `layer` only `budget` tokens go on, those with the
// largest pooled window score over all heads and the window itself (FastKV, arXiv 2502.01068;
// docs/methods.md, "Token-selective propagation").
struct TokenPropagation {
  int64_t layer = 0;  // zero-based, below the last layer
  Budget budget;
  int64_t window = 8;
  int64_t kernel = 7;
  PoolingKind pooling = PoolingKind::kMax;
};

class CompositeMethod final : public Method {
 public:
  // `propagation` not set: every token goes through every layer. `rule` null: every entry is kept,
  // and `kv` is not read.
  CompositeMethod(std::string name, const ModelShape& shape,
                  std::optional<TokenPropagation> propagation, std::unique_ptr<RetentionRule> rule,
                  Budget kv);

  std::string_view name() const override { return name_; }
  Result<PrefillPlan> Plan(int64_t prompt_tokens) const override;
  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                const Selection& selection) const override;

 private:
  // The capacity before it is cut to the number of tokens: docs/methods.md, "Budgets".
  // `reduced` says whether the layer comes after a cut.
  int64_t Capacity(int64_t prompt_tokens, int64_t tokens_in, bool reduced) const;

  std::string name_;
  ModelShape shape_;
  std::optional<TokenPropagation> propagation_;
  std::unique_ptr<RetentionRule> rule_;
  Budget kv_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_COMPOSITE_METHOD_H_
