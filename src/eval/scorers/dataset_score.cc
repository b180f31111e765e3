#include "eval/scorers/dataset_score.h"

#include <charconv>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"

namespace fastkv {
namespace {

// The sum in numpy's order: blocks of up to 128 in eight running sums, larger ones in halves whose
// first is a multiple of eight (pairwise_sum in loops_utils.h.src).
double NumpySum(std::span<const double> values) {
  constexpr size_t kBlock = 128;
  constexpr size_t kLanes = 8;
  if (values.size() < kLanes) return std::accumulate(values.begin(), values.end(), 0.0);
  if (values.size() <= kBlock) {
    std::array<double, kLanes> sums;
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] = values[lane];
    size_t i = kLanes;
    for (; i + kLanes <= values.size(); i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += values[i + lane];
    }
    double sum =
        ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < values.size(); ++i) sum += values[i];
    return sum;
  }
  const size_t half = values.size() / 2 / kLanes * kLanes;
  return NumpySum(values.first(half)) + NumpySum(values.subspan(half));
}

}  // namespace

double DatasetScore(std::span<const double> scores) {
  FASTKV_CHECK(!scores.empty());
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  const double percent = 100 * sum / static_cast<double>(scores.size());
  std::array<char, 64> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), percent,
                                          std::chars_format::fixed, /*precision=*/2);
  FASTKV_CHECK(error == std::errc());
  double rounded = 0;
  std::from_chars(text.data(), end, rounded);
  return rounded;
}

std::array<std::optional<double>, 3> LongBenchEScores(std::span<const SizedScore> scores) {
  std::array<std::vector<double>, 3> bins;
  for (const SizedScore& sized : scores) {
    bins[sized.length < 4000 ? 0 : sized.length < 8000 ? 1 : 2].push_back(sized.score);
  }
  std::array<std::optional<double>, 3> means;
  for (size_t i = 0; i < bins.size(); ++i) {
    if (bins[i].empty()) continue;
    const double percent = 100 * (NumpySum(bins[i]) / static_cast<double>(bins[i].size()));
    means[i] = std::nearbyint(percent * 100) / 100;
  }
  return means;
}

}  // namespace fastkv
