// The interface of a compression method. A method says in integers what it will do (Plan) and turns
// what it asked to see of a layer into indices (Select), through back-end operations alone. It
// never touches storage, never asks which back end or model it runs on, and the engine never asks
// which method it holds. To add one: a file here or a retention rule (retention_rule.h), and a line
// in method_registry.cc.
//
// Every method keeps to these rules, which method_contract_test.cc checks:
//   - budget >= length keeps everything, and the output is bit-identical to `full`;
//   - counts never exceed the plan; the plan is a pure function of (configuration, sizes, length);
//   - ties go to the lower index;
//   - no state outlives a prompt.
#ifndef FASTKV_METHOD_METHOD_H_
#define FASTKV_METHOD_METHOD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method_config.h"
#include "method/prefill_plan.h"

namespace fastkv {

// Where Select writes. Empty views: not asked for at this layer.
struct Selection {
  TensorView kv_indices;     // [num_kv_heads, plan.kv_len], i32: entries to keep, ascending by head
  TensorView token_indices;  // [plan.tokens_out], i32: tokens that go on, ascending
};

// Immutable and thread-safe after construction.
class Method {
 public:
  virtual ~Method() = default;
  virtual std::string_view name() const = 0;

  // The plan for a prompt of `prompt_tokens` >= 1. Errors: kInvalidArgument where no plan fits.
  virtual Result<PrefillPlan> Plan(int64_t prompt_tokens) const = 0;

  // Selects at layer `layer` of `plan`, which observed something. Indices count the tokens that
  // this layer received. Errors: kDevice.
  virtual Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                        const Selection& selection) const = 0;
};

// The method that `config` names. Errors: kInvalidArgument naming the field, its value and what is
// allowed (an unknown name lists the known ones).
Result<std::unique_ptr<Method>> CreateMethod(const MethodConfig& config, const ModelShape& shape);

// Every name that CreateMethod knows, in the order of the documentation.
std::vector<std::string> MethodNames();

}  // namespace fastkv

#endif  // FASTKV_METHOD_METHOD_H_
