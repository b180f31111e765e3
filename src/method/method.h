// The interface of a compression method. A method says in integers what it will do (Plan) and turns
// what it asked to see of a layer into indices (Selector::Select), through back-end operations
// alone. It never touches storage, never asks which back end or model it runs on, and the engine
// never asks which method it holds. To add one: a retention rule (retention_rule.h), a propagation
// rule (propagation_rule.h) or a method of another kind here, and a line in method_registry.cc.
//
// Every method keeps to these rules, which method_contract_test.cc checks:
//   - budget >= length keeps everything, and the output is bit-identical to `full`;
//   - counts never exceed the plan; the plan is a pure function of (configuration, sizes, length,
//     cuts decided so far);
//   - protected tokens are kept everywhere and go through every layer;
//   - ties go to the lower index;
//   - no state outlives a prompt.
#ifndef FASTKV_METHOD_METHOD_H_
#define FASTKV_METHOD_METHOD_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method_config.h"
#include "method/prefill_plan.h"

namespace fastkv {

class RetentionRule;

// Where Select writes, and what it says where the plan left a number open. Empty views: not asked
// for at this layer.
struct Selection {
  // Entries to keep, i32, ascending by head: [num_kv_heads, kv_len]; where heads are unequal
  // [MaxEntries], the heads one after another.
  TensorView kv_indices;
  // Tokens that go on, i32, ascending: [cut_tokens]. An open cut may use fewer.
  TensorView token_indices;

  // Set by Select where heads are unequal: entries of each KV head.
  std::vector<int64_t> head_kv_len;
  // Set by Select where the cut is open: tokens that go on, tokens_in for all of them (no cut; the
  // indices are then not read). Otherwise as planned.
  int64_t tokens_out = 0;
};

// Selects for one prompt, layer by layer in ascending order; may keep what it saw of earlier
// layers. The method must outlive it. Not thread-safe.
class Selector {
 public:
  virtual ~Selector() = default;

  // Selects at layer `layer` of `plan.layers`, or of `plan.selection_pass` while the prompt is read
  // the first time; called where the layer drops entries, may cut or observes. Indices count the
  // tokens that this layer received. Errors: kDevice.
  virtual Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                        Selection& selection) = 0;
};

// A cut that was left open and has been decided: after it `tokens_out` tokens go on, as many as
// came where it did not cut.
struct CutDecision {
  int64_t layer = 0;
  int64_t tokens_out = 0;
};

// What a cache may hold that later turns of a conversation have filled further.
struct CacheBudget {
  // The rule that reduces it; null: every entry stays for good. Lives as long as the method.
  const RetentionRule* rule = nullptr;
  // [num_layers]: entries per KV head, the mean where the rule's heads are unequal.
  std::vector<int64_t> kv_len;
};

// Immutable and thread-safe after construction.
class Method {
 public:
  virtual ~Method() = default;
  virtual std::string_view name() const = 0;

  // The plan for a prompt of `prompt_tokens` >= 1. `decided`: the open cuts settled so far, in
  // ascending order of layers; layers up to the last of them come out as they were run, and no
  // later layer gets more tokens or keeps more entries than in the plan before. Errors:
  // kInvalidArgument where no plan fits, such as a budget too small for the protected tokens.
  virtual Result<PrefillPlan> Plan(int64_t prompt_tokens,
                                   std::span<const CutDecision> decided) const = 0;
  Result<PrefillPlan> Plan(int64_t prompt_tokens) const { return Plan(prompt_tokens, {}); }

  // A selector for one prompt.
  virtual std::unique_ptr<Selector> NewSelector() const = 0;

  // The budget after `num_tokens` >= 1 tokens of a conversation: what the method would keep of one
  // prompt of so many tokens, if all went through every layer (ours; docs/chat.md).
  // `protected_tokens`: as in PrefillPlan. Errors: kUnsupported where the method can only choose
  // from a whole prompt; kInvalidArgument where the budget cannot hold the protected tokens.
  virtual Result<CacheBudget> BudgetFor(int64_t num_tokens,
                                        std::span<const PromptSpan> protected_tokens) const = 0;
};

// The method that `config` names. Errors: kInvalidArgument naming the field, its value and what is
// allowed (an unknown name lists the known ones).
Result<std::unique_ptr<Method>> CreateMethod(const MethodConfig& config, const ModelShape& shape);

// Every name that CreateMethod knows, in the order of the documentation.
std::vector<std::string> MethodNames();

// The names that MethodConfig::retention may have.
std::vector<std::string> RetentionNames();

}  // namespace fastkv

#endif  // FASTKV_METHOD_METHOD_H_
