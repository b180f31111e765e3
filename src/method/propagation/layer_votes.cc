#include "method/propagation/layer_votes.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace fastkv {
namespace {

constexpr double kDeviationFloor = 1e-8;

double MeanOf(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double DeviationOf(std::span<const double> values, double mean) {
  if (values.size() < 2) return 0;
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

}  // namespace

std::vector<double> LayerVote(std::span<const double> group_scores, int64_t num_kv_heads,
                              const LayerVotesOptions& options) {
  FASTKV_CHECK_GE(num_kv_heads, 1);
  FASTKV_CHECK_EQ(std::ssize(group_scores) % num_kv_heads, 0);
  const size_t num_columns = group_scores.size() / static_cast<size_t>(num_kv_heads);
  std::vector<double> vote(num_columns);
  for (int64_t head = 0; head < num_kv_heads; ++head) {
    const std::span<const double> row =
        group_scores.subspan(static_cast<size_t>(head) * num_columns, num_columns);
    const double mean = options.standard_scores ? MeanOf(row) : 0;
    const double divisor = options.standard_scores ? DeviationOf(row, mean) + kDeviationFloor : 1;
    for (size_t column = 0; column < num_columns; ++column) {
      const double score = (row[column] - mean) / divisor;
      if (options.add_heads) {
        vote[column] += score;
      } else {
        vote[column] = head == 0 ? score : std::max(vote[column], score);
      }
    }
  }
  return vote;
}

void LayerVotes::Add(std::span<const double> layer_scores) {
  if (scores_.empty()) {
    scores_.assign(layer_scores.begin(), layer_scores.end());
    return;
  }
  FASTKV_CHECK_EQ(scores_.size(), layer_scores.size());
  for (size_t column = 0; column < scores_.size(); ++column) {
    scores_[column] = std::max(scores_[column], layer_scores[column]);
  }
}

}  // namespace fastkv
