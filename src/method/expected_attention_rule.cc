// Expected Attention's retention: the entries that queries of coming positions would attend to
// most, if they came from a normal distribution with the moments of the prompt's queries, weighted
// with the norm of their values; the first tokens stay. Source: arXiv 2510.00636.
#include <vector>

#include "method/expected_query.h"
#include "method/rules.h"

namespace fastkv {
namespace {

class ExpectedAttentionRule final : public RetentionRule {
 public:
  explicit ExpectedAttentionRule(const MethodConfig& config)
      : sinks_(config.sinks), future_positions_(config.future_positions) {}

  int64_t TailTokens() const override { return 0; }
  Observation Wanted(int64_t /*tokens*/) const override {
    return {.key_scores = true, .query_moments = true, .moments_first_row = sinks_};
  }

  Status SelectEntries(const LayerPlan& /*layer*/, LayerObservation& observation,
                       Selection& selection) const override {
    const TensorView scores = observation.HeadScores();
    const LayerInputs& inputs = observation.inputs();
    if (observation.num_tokens() > sinks_) FASTKV_RETURN_IF_ERROR(ExpectQueries(observation));
    observation.backend().ExpectedAttentionScores({.keys = inputs.keys,
                                                   .values = inputs.values,
                                                   .mean = observation.QuerySum(),
                                                   .covariance = observation.QueryProducts(),
                                                   .scale = inputs.scale,
                                                   .num_sinks = sinks_,
                                                   .out = scores});
    observation.SelectTop(scores, 0, selection.kv_indices);
    return OkStatus();
  }

 private:
  // Turns the observed sums of every query head into the moments of coming queries, in place.
  Status ExpectQueries(LayerObservation& observation) const {
    Backend& backend = observation.backend();
    const TensorView sum = observation.QuerySum();
    const TensorView products = observation.QueryProducts();
    std::vector<float> host_sum(sum.num_elements());
    std::vector<float> host_products(products.num_elements());
    const auto sum_bytes = static_cast<int64_t>(host_sum.size() * sizeof(float));
    const auto product_bytes = static_cast<int64_t>(host_products.size() * sizeof(float));
    FASTKV_RETURN_IF_ERROR(backend.CopyToHost(host_sum.data(), sum.data(), sum_bytes));
    FASTKV_RETURN_IF_ERROR(
        backend.CopyToHost(host_products.data(), products.data(), product_bytes));
    const int64_t first_position = observation.inputs().prompt_tokens;
    const MeanRotation rotation = AverageRotation(observation.inputs().rotary, first_position,
                                                  first_position + future_positions_);
    const int64_t head_dim = sum.dim(1);
    for (int64_t head = 0; head < sum.dim(0); ++head) {
      ExpectedQuery(
          rotation, observation.inputs().moment_rows,
          std::span(host_sum).subspan(head * head_dim, head_dim),
          std::span(host_products).subspan(head * head_dim * head_dim, head_dim * head_dim));
    }
    FASTKV_RETURN_IF_ERROR(backend.CopyToDevice(sum.data(), host_sum.data(), sum_bytes));
    return backend.CopyToDevice(products.data(), host_products.data(), product_bytes);
  }

  int64_t sinks_;
  int64_t future_positions_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreateExpectedAttentionRule(const MethodConfig& config,
                                                           const ModelShape& /*shape*/) {
  return std::make_unique<ExpectedAttentionRule>(config);
}

}  // namespace fastkv
