// Which entries of a layer's KV a method keeps. One file a rule; token propagation is independent
// of it (composite_method.h). A rule sees the tokens that its layer received, in received order.
#ifndef FASTKV_METHOD_RETENTION_RULE_H_
#define FASTKV_METHOD_RETENTION_RULE_H_

#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method_config.h"
#include "method/prefill_plan.h"

namespace fastkv {

// Immutable and thread-safe after construction.
class RetentionRule {
 public:
  virtual ~RetentionRule() = default;

  // The least capacity the rule works with; smaller budgets are raised to it (docs/methods.md,
  // "Budgets").
  virtual int64_t MinCapacity() const = 0;

  // Rows of the observation window; 0 where the rule looks at none.
  virtual int64_t WindowRows() const = 0;

  // What the rule must see of a layer that keeps fewer entries than it receives.
  virtual Observation WantedObservation() const = 0;

  // Writes the entries to keep: [num_kv_heads, capacity], i32, ascending by head. capacity is below
  // the number of tokens received and at least MinCapacity().
  virtual Status SelectEntries(LayerObservation& observation,
                               const TensorView& kv_indices) const = 0;
};

// SnapKV's window scores, selected per KV head; FastKV's own rule (docs/methods.md).
std::unique_ptr<RetentionRule> CreateSnapKvRule(const MethodConfig& config);

}  // namespace fastkv

#endif  // FASTKV_METHOD_RETENTION_RULE_H_
