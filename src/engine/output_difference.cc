#include "engine/output_difference.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "base/check.h"

namespace fastkv {
namespace {

constexpr int64_t kTopTokens = 10;

double LogSumExp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

// The indices of the largest logits, ascending.
std::vector<int32_t> TopTokens(std::span<const float> logits, int64_t count) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min<std::ptrdiff_t>(count, std::ssize(order));
  std::partial_sort(order.begin(), end, order.end(), [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  order.erase(end, order.end());
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

double NormalisedDistance(std::span<const float> x, std::span<const float> reference) {
  FASTKV_CHECK_EQ(x.size(), reference.size());
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double delta = static_cast<double>(x[i]) - reference[i];
    difference += delta * delta;
    norm += static_cast<double>(reference[i]) * reference[i];
  }
  if (norm == 0) return difference == 0 ? 0 : 1;
  return std::sqrt(difference / norm);
}

double KlDivergence(std::span<const float> p_logits, std::span<const float> q_logits) {
  FASTKV_CHECK_EQ(p_logits.size(), q_logits.size());
  const double p_total = LogSumExp(p_logits);
  const double q_total = LogSumExp(q_logits);
  double divergence = 0;
  for (size_t i = 0; i < p_logits.size(); ++i) {
    const double log_p = p_logits[i] - p_total;
    divergence += std::exp(log_p) * (log_p - (q_logits[i] - q_total));
  }
  return std::max(0.0, divergence);  // rounding can take it just below
}

double TopOverlap(std::span<const float> a, std::span<const float> b, int64_t count) {
  FASTKV_CHECK_EQ(a.size(), b.size());
  const std::vector<int32_t> top_a = TopTokens(a, count);
  const std::vector<int32_t> top_b = TopTokens(b, count);
  if (top_a.empty()) return 1;
  std::vector<int32_t> common;
  std::set_intersection(top_a.begin(), top_a.end(), top_b.begin(), top_b.end(),
                        std::back_inserter(common));
  return static_cast<double>(common.size()) / static_cast<double>(top_a.size());
}

void ApplyRmsNorm(std::span<float> x, std::span<const float> weight, double epsilon) {
  FASTKV_CHECK_EQ(x.size(), weight.size());
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * value;
  const double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + epsilon);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(x[i] * scale * weight[i]);
}

OutputDifference CompareOutputs(std::span<const float> logits, std::span<const float> full_logits,
                                std::span<const float> hidden, std::span<const float> full_hidden) {
  return {.logits_distance = NormalisedDistance(logits, full_logits),
          .hidden_distance = NormalisedDistance(hidden, full_hidden),
          .kl_divergence = KlDivergence(full_logits, logits),
          .argmax_agreement = TopOverlap(logits, full_logits, 1),
          .top10_overlap = TopOverlap(logits, full_logits, kTopTokens)};
}

OutputDifference MeanDifference(std::span<const OutputDifference> differences) {
  FASTKV_CHECK(!differences.empty());
  const auto count = static_cast<double>(differences.size());
  const auto mean = [&](double OutputDifference::*field) {
    double sum = 0;
    for (const OutputDifference& difference : differences) sum += difference.*field;
    return sum / count;
  };
  return {.logits_distance = mean(&OutputDifference::logits_distance),
          .hidden_distance = mean(&OutputDifference::hidden_distance),
          .kl_divergence = mean(&OutputDifference::kl_divergence),
          .argmax_agreement = mean(&OutputDifference::argmax_agreement),
          .top10_overlap = mean(&OutputDifference::top10_overlap)};
}

}  // namespace fastkv
