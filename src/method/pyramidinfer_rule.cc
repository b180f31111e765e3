// PyramidInfer's propagation: after every layer fewer context tokens go on, by a share that falls
// with depth along a cosine; recent tokens and the first ones always do. The recent rows' attention
// scores the context, later rows weighing more. Source: arXiv 2405.12532, as FastKV's comparison
// runs it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "method/rules.h"

namespace fastkv {
namespace {

constexpr int64_t kMinContextTokens = 64;
constexpr int64_t kSinks = 4;
constexpr float kLastRowWeight = 1.2F;
constexpr int64_t kEvictionStepTokens = 16;
constexpr double kEvictionShareKept = 0.9;

// The last tokens, which always go on and whose rows score the others.
class Recent {
 public:
  explicit Recent(double ratio) : ratio_(ratio) {}
  int64_t Rows(int64_t prompt_tokens) const { return Budget::ShareOf(prompt_tokens, ratio_) + 1; }
  ColumnSums Sums(int64_t prompt_tokens, int64_t tokens_in) const {
    const int64_t rows = Rows(prompt_tokens);
    return {.rows = rows, .columns = tokens_in - rows, .last_row_weight = kLastRowWeight};
  }

 private:
  double ratio_;
};

class PyramidInferSelector final : public Selector {
 public:
  explicit PyramidInferSelector(const Recent& recent) : recent_(recent) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    if (selection.token_indices.empty()) return OkStatus();
    const LayerPlan& layer_plan = plan.layers[layer];
    const ColumnSums sums = recent_.Sums(plan.prompt_tokens, layer_plan.tokens_in);
    const TensorView scores = observation.SummedTokenColumns(sums);
    const std::vector<ColumnSpan> sinks = {{0, std::min(kSinks, sums.columns)}};
    observation.backend().FillColumns(
        {.scores = scores, .spans = sinks, .value = std::numeric_limits<float>::max()});
    observation.SelectTop(
        scores, sums.rows,
        TensorView(selection.token_indices.data(), DType::kI32, {1, layer_plan.tokens_out}));
    return OkStatus();
  }

 private:
  Recent recent_;
};

class PyramidInferRule final : public PropagationRule {
 public:
  PyramidInferRule(const MethodConfig& config, const ModelShape& shape)
      : recent_(config.recent_ratio),
        decay_(config.decay_ratio),
        decode_eviction_(config.decode_eviction),
        num_layers_(shape.num_layers) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const int64_t recent = recent_.Rows(request.prompt_tokens);
    const int64_t min_context = std::min(kMinContextTokens, request.prompt_tokens - recent);
    const int64_t context = request.tokens_in - recent;
    if (request.layer == 0 || context <= min_context) return {};
    const double depth = static_cast<double>(request.layer) / static_cast<double>(num_layers_);
    const double share = (1 - decay_) * (std::cos(std::numbers::pi * depth) + 1) / 2 + decay_;
    const int64_t kept = Budget::ShareOf(context, share);
    if (share >= 1 || kept <= min_context) return {};
    return {
        .tokens = kept + recent,
        .min_tokens = recent,
        .observation = {.column_sums = {recent_.Sums(request.prompt_tokens, request.tokens_in)}}};
  }

  bool FallsGradually() const override { return true; }

  std::optional<EvictionPlan> Eviction(int64_t prompt_tokens) const override {
    if (!decode_eviction_) return std::nullopt;
    return EvictionPlan{.recent_rows = recent_.Rows(prompt_tokens),
                        .step_tokens = kEvictionStepTokens,
                        .kept_tokens = Budget::ShareOf(kEvictionStepTokens, kEvictionShareKept),
                        .last_row_weight = kLastRowWeight};
  }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<PyramidInferSelector>(recent_);
  }

 private:
  Recent recent_;
  double decay_;
  bool decode_eviction_;
  int64_t num_layers_;
};

}  // namespace

std::unique_ptr<PropagationRule> CreatePyramidInferRule(const MethodConfig& config,
                                                        const ModelShape& shape) {
  return std::make_unique<PyramidInferRule>(config, shape);
}

}  // namespace fastkv
