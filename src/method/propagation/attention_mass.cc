#include "method/propagation/attention_mass.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "base/checked_math.h"

namespace fastkv {
namespace {

constexpr int64_t kCountStep = 64;

}  // namespace

int64_t TokensHoldingMass(std::span<const double> scores, double p) {
  std::vector<double> sorted(scores.begin(), scores.end());
  if (std::any_of(sorted.begin(), sorted.end(), [](double score) { return std::isnan(score); })) {
    return std::ssize(scores);
  }
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const double total = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  if (p >= 1 || total == 0) return std::ssize(scores);
  double sum = 0;
  int64_t count = 0;
  while (count < std::ssize(sorted) && sum < p * total) sum += sorted[count++];
  return count;
}

double AttentionEntropy(std::span<const double> scores) {
  const double total = std::accumulate(scores.begin(), scores.end(), 0.0);
  if (!(total > 0)) return 0;
  double entropy = 0;
  for (const double score : scores) {
    if (score > 0) entropy -= score / total * std::log(score / total);
  }
  return entropy;
}

int64_t TokensOfEntropy(double entropy, double factor) {
  return static_cast<int64_t>(std::exp(entropy) * factor);
}

int64_t PropagatedCount(const PropagatedCountParams& params) {
  FASTKV_CHECK_LE(params.min_tokens, params.max_tokens);
  const auto scaled = static_cast<int64_t>(params.factor * static_cast<double>(params.counted));
  const int64_t rounded = RoundUp(params.window + scaled, kCountStep);
  return std::min(params.tokens_in, std::clamp(rounded, params.min_tokens, params.max_tokens));
}

}  // namespace fastkv
