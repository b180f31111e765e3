// Which tokens go on from a layer to the next, in prefill. One file a rule; what each layer's cache
// keeps is independent of it (composite_method.h).
#ifndef FASTKV_METHOD_PROPAGATION_RULE_H_
#define FASTKV_METHOD_PROPAGATION_RULE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method.h"
#include "method/prefill_plan.h"

namespace fastkv {

// A layer that a rule is asked about.
struct CutRequest {
  int64_t prompt_tokens = 0;
  int64_t layer = 0;
  int64_t tokens_in = 0;
  std::span<const CutDecision> decided;  // of earlier layers only
};

// What happens to the tokens at one layer. The defaults: nothing.
struct LayerCut {
  // That go on if it cuts: fewer than came, or at most so many where `open`. 0: it does not cut.
  int64_t tokens = 0;
  int64_t min_tokens = 0;  // the last ones, which go on whatever their scores (a window)
  bool open = false;       // decided at run time (LayerPlan::cut_is_open)
  CutPoint point = CutPoint::kAfterLayer;
  Observation observation;  // wanted here; without a cut too, where later layers decide from it
};

// Immutable and thread-safe after construction.
class PropagationRule {
 public:
  virtual ~PropagationRule() = default;

  // A pure function; not asked about the last layer.
  virtual LayerCut CutAt(const CutRequest& request) const = 0;

  // The share of the prompt that goes on after the cut, where it is one fixed share: a retention
  // rate r is then r / share of what later layers receive. Otherwise later layers keep the rate of
  // the prompt (docs/methods.md, "Budgets").
  virtual std::optional<double> Share() const { return std::nullopt; }

  // See PrefillPlan.
  virtual bool FallsGradually() const { return false; }
  virtual std::optional<EvictionPlan> Eviction(int64_t /*prompt_tokens*/) const {
    return std::nullopt;
  }

  // Fills Selection::token_indices, and tokens_out at an open cut, for one prompt; called at each
  // layer where CutAt wanted a cut or an observation.
  virtual std::unique_ptr<Selector> NewSelector() const = 0;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_RULE_H_
