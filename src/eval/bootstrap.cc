#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"

namespace fastkv {
namespace {

constexpr int64_t kNumResamples = 1000;
constexpr double kTail = 0.025;

double MeanOfMeans(std::span<const std::vector<double>> groups) {
  double sum = 0;
  for (const std::vector<double>& group : groups) {
    double group_sum = 0;
    for (const double score : group) group_sum += score;
    sum += group_sum / static_cast<double>(group.size());
  }
  return sum / static_cast<double>(groups.size());
}

double ResampledMeanOfMeans(std::span<const std::vector<double>> groups, Random& random) {
  double sum = 0;
  for (const std::vector<double>& group : groups) {
    const auto size = static_cast<int64_t>(group.size());
    double group_sum = 0;
    for (int64_t i = 0; i < size; ++i)
      group_sum += group[static_cast<size_t>(random.NextInt(size))];
    sum += group_sum / static_cast<double>(size);
  }
  return sum / static_cast<double>(groups.size());
}

// Between the two neighbours where the rank falls between them.
double Quantile(const std::vector<double>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - std::floor(rank)) * (sorted[above] - sorted[below]);
}

}  // namespace

MeanInterval BootstrapMean(std::span<const std::vector<double>> groups, uint64_t seed) {
  FASTKV_CHECK(!groups.empty());
  for (const std::vector<double>& group : groups) FASTKV_CHECK(!group.empty());
  Random random(seed);
  std::vector<double> means(kNumResamples);
  for (double& mean : means) mean = ResampledMeanOfMeans(groups, random);
  std::sort(means.begin(), means.end());
  return {.mean = MeanOfMeans(groups),
          .low = Quantile(means, kTail),
          .high = Quantile(means, 1 - kTail)};
}

}  // namespace fastkv
