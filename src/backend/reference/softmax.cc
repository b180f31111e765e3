#include "backend/reference/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fastkv::reference {
namespace {

constexpr double kNegativeInfinity = -std::numeric_limits<double>::infinity();

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  FASTKV_CHECK_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
  return sum;
}

bool Sees(const RowVisibility& visibility, const HeadEntries& entries, int64_t j) {
  return visibility.window <= 0 || visibility.position - entries.positions[j] < visibility.window;
}

}  // namespace

RowSoftmax SoftmaxOfRow(const std::vector<double>& query, double scale, const HeadEntries& entries,
                        const RowVisibility& visibility) {
  FASTKV_CHECK_LE(visibility.num_visible, entries.keys.size());
  RowSoftmax result;
  result.probabilities.assign(visibility.num_visible, kNegativeInfinity);
  std::vector<double>& row = result.probabilities;
  double largest = kNegativeInfinity;
  for (int64_t j = 0; j < visibility.num_visible; ++j) {
    if (!Sees(visibility, entries, j)) continue;
    row[j] = scale * Dot(query, entries.keys[j]);
    largest = std::max(largest, row[j]);
  }
  if (largest == kNegativeInfinity) {
    std::fill(row.begin(), row.end(), 0.0);
    result.log_sum_exp = kNegativeInfinity;
    return result;
  }
  double sum = 0;
  for (double& value : row) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (double& value : row) value /= sum;
  result.log_sum_exp = largest + std::log(sum);
  return result;
}

std::vector<double> WeightedValues(const RowSoftmax& softmax, const HeadEntries& entries,
                                   int64_t head_dim) {
  std::vector<double> out(head_dim, 0.0);
  for (size_t j = 0; j < softmax.probabilities.size(); ++j) {
    const double probability = softmax.probabilities[j];
    // An entry that the row does not see must not turn 0 * infinity into NaN.
    if (probability == 0) continue;
    for (int64_t c = 0; c < head_dim; ++c) out[c] += probability * entries.values[j][c];
  }
  return out;
}

}  // namespace fastkv::reference
