// Names of methods, and what each is made of.
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "method/composite_method.h"
#include "method/method.h"

namespace fastkv {
namespace {

Status CheckBudget(const Budget& budget, const char* what) {
  if (budget.tokens.has_value()) {
    if (*budget.tokens >= 1) return OkStatus();
    return InvalidArgumentError(std::string(what) + "-tokens is " + std::to_string(*budget.tokens) +
                                "; give at least 1");
  }
  if (budget.rate > 0 && budget.rate <= 1) return OkStatus();
  return InvalidArgumentError(std::string(what) + "-rate is " + std::to_string(budget.rate) +
                              "; give the share that is kept, above 0 and at most 1");
}

Status CheckConfig(const MethodConfig& config, const ModelShape& shape) {
  FASTKV_RETURN_IF_ERROR(CheckBudget(config.kv, "--kv"));
  FASTKV_RETURN_IF_ERROR(CheckBudget(config.tsp, "--tsp"));
  if (config.window < 1) {
    return InvalidArgumentError("--window is " + std::to_string(config.window) +
                                "; give at least 1 token");
  }
  if (config.kernel < 1 || config.kernel % 2 == 0) {
    return InvalidArgumentError("--kernel is " + std::to_string(config.kernel) +
                                "; give an odd width of at least 1");
  }
  if (config.tsp_layer.has_value() &&
      (*config.tsp_layer < 0 || *config.tsp_layer > shape.num_layers - 2)) {
    return InvalidArgumentError("--tsp-layer is " + std::to_string(*config.tsp_layer) +
                                "; this model has " + std::to_string(shape.num_layers) +
                                " layers, give 0 to " + std::to_string(shape.num_layers - 2));
  }
  return OkStatus();
}

// The TSP layer that the paper found for three models, L/2 - 1 in each (docs/methods.md,
// "Token-selective propagation").
int64_t DefaultTspLayer(const ModelShape& shape) { return shape.num_layers / 2 - 1; }

std::optional<TokenPropagation> PropagationOf(const MethodConfig& config, const ModelShape& shape) {
  if (shape.num_layers < 2) return std::nullopt;
  TokenPropagation propagation;
  propagation.layer = config.tsp_layer.value_or(DefaultTspLayer(shape));
  propagation.budget = config.tsp;
  propagation.window = config.window;
  propagation.kernel = config.kernel;
  propagation.pooling = config.pooling;
  return propagation;
}

std::unique_ptr<Method> CreateFull(const MethodConfig& /*config*/, const ModelShape& shape) {
  return std::make_unique<CompositeMethod>("full", shape, std::nullopt, nullptr, Budget::Rate(1.0));
}

std::unique_ptr<Method> CreateFastKv(const MethodConfig& config, const ModelShape& shape) {
  return std::make_unique<CompositeMethod>("fastkv", shape, PropagationOf(config, shape),
                                           CreateSnapKvRule(config), config.kv);
}

std::unique_ptr<Method> CreateSnapKv(const MethodConfig& config, const ModelShape& shape) {
  return std::make_unique<CompositeMethod>("snapkv", shape, std::nullopt, CreateSnapKvRule(config),
                                           config.kv);
}

struct MethodEntry {
  const char* name;
  std::unique_ptr<Method> (*create)(const MethodConfig&, const ModelShape&);
};

constexpr std::array kMethods = {
    MethodEntry{"full", CreateFull},
    MethodEntry{"fastkv", CreateFastKv},
    MethodEntry{"snapkv", CreateSnapKv},
};

}  // namespace

Result<std::unique_ptr<Method>> CreateMethod(const MethodConfig& config, const ModelShape& shape) {
  std::string known;
  for (const MethodEntry& entry : kMethods) {
    if (config.name == entry.name) {
      FASTKV_RETURN_IF_ERROR(CheckConfig(config, shape));
      return entry.create(config, shape);
    }
    known += known.empty() ? "" : ", ";
    known += entry.name;
  }
  return InvalidArgumentError("unknown method '" + config.name + "'; known methods: " + known);
}

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (const MethodEntry& entry : kMethods) names.emplace_back(entry.name);
  return names;
}

}  // namespace fastkv
