// Names of methods, and what each is made of.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "method/adaptive_rules.h"
#include "method/composite_method.h"
#include "method/gemfilter_method.h"
#include "method/method.h"
#include "method/rules.h"

namespace fastkv {
namespace {

// Far above what a generation could reach; the average over them is computed on the host.
constexpr int64_t kMaxFuturePositions = 1'000'000;

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

Status CheckAtLeast(int64_t value, int64_t least, const char* flag, const char* unit) {
  if (value >= least) return OkStatus();
  return InvalidArgumentError(std::string(flag) + " is " + std::to_string(value) +
                              "; give at least " + std::to_string(least) + " " + unit);
}

Status CheckShare(double value, const char* flag) {
  if (value >= 0 && value <= 1) return OkStatus();
  return InvalidArgumentError(std::string(flag) + " is " + std::to_string(value) +
                              "; give a share from 0 to 1");
}

Status CheckLayer(const std::optional<int64_t>& layer, int64_t last, const ModelShape& shape,
                  const char* flag) {
  if (!layer.has_value() || (*layer >= 0 && *layer <= last)) return OkStatus();
  return InvalidArgumentError(std::string(flag) + " is " + std::to_string(*layer) +
                              "; this model has " + std::to_string(shape.num_layers) +
                              " layers, give 0 to " + std::to_string(last));
}

Status CheckConfig(const MethodConfig& config, const ModelShape& shape) {
  FASTKV_RETURN_IF_ERROR(CheckBudget(config.kv, "--kv"));
  FASTKV_RETURN_IF_ERROR(CheckAtLeast(config.min_kv_tokens, 0, "--min-kv-tokens", "entries"));
  FASTKV_RETURN_IF_ERROR(CheckBudget(TspBudgetOf(config), "--tsp"));
  FASTKV_RETURN_IF_ERROR(CheckAtLeast(config.window.value_or(1), 1, "--window", "token"));
  const int64_t kernel = KernelOf(config);
  if (kernel < 1 || kernel % 2 == 0) {
    return InvalidArgumentError("--kernel is " + std::to_string(kernel) +
                                "; give an odd width of at least 1");
  }
  FASTKV_RETURN_IF_ERROR(CheckLayer(config.tsp_layer, shape.num_layers - 2, shape, "--tsp-layer"));
  FASTKV_RETURN_IF_ERROR(
      CheckLayer(config.filter_layer, shape.num_layers - 1, shape, "--filter-layer"));
  FASTKV_RETURN_IF_ERROR(CheckAtLeast(config.sinks, 0, "--sinks", "tokens"));
  if (!(config.recent_ratio >= 0 && config.recent_ratio < 1)) {
    return InvalidArgumentError("--recent-ratio is " + std::to_string(config.recent_ratio) +
                                "; give a share from 0 to below 1");
  }
  FASTKV_RETURN_IF_ERROR(CheckShare(config.decay_ratio, "--decay-ratio"));
  FASTKV_RETURN_IF_ERROR(CheckAtLeast(config.pyramid_beta, 1, "--pyramid-beta", ""));
  FASTKV_RETURN_IF_ERROR(CheckShare(config.adakv_alpha, "--adakv-alpha"));
  if (config.future_positions < 1 || config.future_positions > kMaxFuturePositions) {
    return InvalidArgumentError("--future-positions is " + std::to_string(config.future_positions) +
                                "; give 1 to " + std::to_string(kMaxFuturePositions));
  }
  FASTKV_RETURN_IF_ERROR(CheckAtLeast(config.protect_first, 0, "--protect-first", "tokens"));
  FASTKV_RETURN_IF_ERROR(CheckAtLeast(config.protect_last, 0, "--protect-last", "tokens"));
  for (const PromptSpan& span : config.protect) {
    if (span.begin < 0 || span.end < span.begin) {
      return InvalidArgumentError("protected tokens " + std::to_string(span.begin) + " to " +
                                  std::to_string(span.end) +
                                  "; give positions from 0 on, the first no later than the end");
    }
  }
  return OkStatus();
}

using RetentionFactory = std::unique_ptr<RetentionRule> (*)(const MethodConfig&, const ModelShape&);

const RetentionFactory* FindRetention(const std::string& name);

std::unique_ptr<Method> CreateFull(const MethodConfig& config, const ModelShape& shape) {
  return std::make_unique<CompositeMethod>(config, shape, nullptr, nullptr);
}

// Whether a propagation rule stands beside the retention rule.
bool Propagates(const MethodConfig& config) {
  return config.name == "fastkv" || config.name == "peakkv" || config.propagate;
}

// Propagation, where the model has a layer for it, beside a retention rule.
std::unique_ptr<Method> CreateWithTsp(const MethodConfig& config, const ModelShape& shape,
                                      RetentionFactory retention) {
  auto tsp = shape.num_layers < 2 ? nullptr
                                  : CreatePropagationRule(config, shape, TspLayerOf(config, shape));
  return std::make_unique<CompositeMethod>(
      config, shape, std::move(tsp), retention == nullptr ? nullptr : retention(config, shape));
}

std::unique_ptr<Method> CreateFastKv(const MethodConfig& config, const ModelShape& shape) {
  return CreateWithTsp(config, shape, *FindRetention(config.retention));
}

std::unique_ptr<Method> CreatePeakKv(const MethodConfig& config, const ModelShape& shape) {
  return CreateWithTsp(config, shape, CreatePeakKvRule);
}

std::unique_ptr<Method> CreatePyramidInfer(const MethodConfig& config, const ModelShape& shape) {
  return std::make_unique<CompositeMethod>(config, shape, CreatePyramidInferRule(config, shape),
                                           nullptr);
}

std::unique_ptr<Method> CreateGemFilter(const MethodConfig& config, const ModelShape& shape) {
  const int64_t layer =
      config.filter_layer.value_or(std::max<int64_t>(0, TspLayerOf(config, shape)));
  return std::make_unique<GemFilterMethod>(config, shape, layer);
}

// A method, or a retention rule that is a method by itself and may stand beside TSP.
struct MethodEntry {
  const char* name;
  std::unique_ptr<Method> (*create)(const MethodConfig&, const ModelShape&);
  RetentionFactory retention;
};

constexpr std::array kMethods = {
    MethodEntry{"full", CreateFull, nullptr},
    MethodEntry{"fastkv", CreateFastKv, nullptr},
    MethodEntry{"peakkv", CreatePeakKv, nullptr},
    MethodEntry{"peak", nullptr, CreatePeakKvRule},
    MethodEntry{"snapkv", nullptr, CreateSnapKvRule},
    MethodEntry{"streamingllm", nullptr, CreateStreamingLlmRule},
    MethodEntry{"h2o", nullptr, CreateH2oRule},
    MethodEntry{"pyramidinfer", CreatePyramidInfer, nullptr},
    MethodEntry{"gemfilter", CreateGemFilter, nullptr},
    MethodEntry{"pyramidkv", nullptr, CreatePyramidKvRule},
    MethodEntry{"adakv", nullptr, CreateAdaKvRule},
    MethodEntry{"tova", nullptr, CreateTovaRule},
    MethodEntry{"knorm", nullptr, CreateKnormRule},
    MethodEntry{"keydiff", nullptr, CreateKeyDiffRule},
    MethodEntry{"expected-attention", nullptr, CreateExpectedAttentionRule},
};

// Null where no retention rule has the name.
const RetentionFactory* FindRetention(const std::string& name) {
  for (const MethodEntry& entry : kMethods) {
    if (name == entry.name && entry.retention != nullptr) return &entry.retention;
  }
  return nullptr;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

}  // namespace

int64_t WindowOf(const MethodConfig& config) {
  const bool is_wide =
      Propagates(config) ? config.propagation.rule == "asl" : config.name == "adakv";
  return config.window.value_or(is_wide || config.name == "peakkv" ? 32 : 8);
}

int64_t KernelOf(const MethodConfig& config) {
  return config.kernel.value_or(config.name == "peakkv" ? 31 : 7);
}

Budget TspBudgetOf(const MethodConfig& config) {
  return config.tsp.value_or(Budget::Rate(config.name == "peakkv" ? 0.05 : 0.2));
}

int64_t TspLayerOf(const MethodConfig& config, const ModelShape& shape) {
  return config.tsp_layer.value_or(shape.num_layers / 2 - 1);
}

PoolingKind PoolingOf(const MethodConfig& config) {
  const std::string& rule = config.propagation.rule;
  const bool averages = Propagates(config) && (rule == "asl" || rule == "claa");
  return config.pooling.value_or(averages ? PoolingKind::kAverage : PoolingKind::kMax);
}

Result<std::unique_ptr<Method>> CreateMethod(const MethodConfig& config, const ModelShape& shape) {
  for (const MethodEntry& entry : kMethods) {
    if (config.name != entry.name) continue;
    FASTKV_RETURN_IF_ERROR(CheckConfig(config, shape));
    if (FindRetention(config.retention) == nullptr) {
      return InvalidArgumentError("unknown retention rule '" + config.retention +
                                  "'; known rules: " + Joined(RetentionNames()));
    }
    if (Propagates(config) && shape.num_layers >= 2) {
      FASTKV_RETURN_IF_ERROR(CheckPropagation(config, shape, TspLayerOf(config, shape)));
    }
    if (entry.create != nullptr) return entry.create(config, shape);
    if (config.propagate) return CreateWithTsp(config, shape, entry.retention);
    return std::unique_ptr<Method>(
        std::make_unique<CompositeMethod>(config, shape, nullptr, entry.retention(config, shape)));
  }
  return InvalidArgumentError("unknown method '" + config.name +
                              "'; known methods: " + Joined(MethodNames()));
}

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (const MethodEntry& entry : kMethods) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> RetentionNames() {
  std::vector<std::string> names;
  for (const MethodEntry& entry : kMethods) {
    if (entry.retention != nullptr) names.emplace_back(entry.name);
  }
  return names;
}

}  // namespace fastkv
