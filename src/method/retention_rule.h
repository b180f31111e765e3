// Which entries of a layer's KV a method keeps. One file a rule; token propagation is independent
// of it (composite_method.h). A rule sees the tokens that its layer received, in received order.
#ifndef FASTKV_METHOD_RETENTION_RULE_H_
#define FASTKV_METHOD_RETENTION_RULE_H_

#include <cstdint>

#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method.h"
#include "method/prefill_plan.h"

namespace fastkv {

// What a layer may keep; all count tokens, the tail included.
struct LayerBudget {
  int64_t layer = 0;
  int64_t prompt_tokens = 0;
  int64_t tokens = 0;    // that the layer receives
  int64_t capacity = 0;  // entries per KV head, if all layers kept the same
};

// Immutable and thread-safe after construction.
class RetentionRule {
 public:
  virtual ~RetentionRule() = default;

  // The last tokens that the rule keeps whatever their scores. Smaller capacities are raised to it,
  // and to at least 1 (docs/methods.md, "Budgets").
  virtual int64_t TailTokens() const = 0;

  // Entries per KV head that a layer keeps, the tail included.
  virtual int64_t LayerCapacity(const LayerBudget& budget) const { return budget.capacity; }

  // Each KV head keeps its own number of entries.
  virtual bool UnequalHeads() const { return false; }

  // What the rule must see of a layer that receives `tokens` and keeps fewer entries.
  virtual Observation Wanted(int64_t tokens) const = 0;

  // Fills selection.kv_indices, and head_kv_len where heads are unequal. `layer` keeps fewer
  // entries than it received, at least TailTokens() and room for the protected tokens. Errors:
  // kDevice.
  virtual Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                               Selection& selection) const = 0;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_RETENTION_RULE_H_
