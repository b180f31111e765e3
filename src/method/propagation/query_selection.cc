#include "method/propagation/query_selection.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"
#include "method/propagation/ranking.h"

namespace fastkv {

std::vector<double> PooledQueryScores(std::span<const double> scores, int64_t kernel) {
  FASTKV_CHECK_GE(kernel, 1);
  FASTKV_CHECK_EQ(kernel % 2, 1);
  std::vector<double> zeroed(scores.begin(), scores.end());
  if (!zeroed.empty()) zeroed.back() = 0;
  const int64_t num_tokens = std::ssize(zeroed);
  std::vector<double> pooled(zeroed.size());
  for (int64_t j = 0; j < num_tokens; ++j) {
    double sum = 0;
    for (int64_t i = std::max<int64_t>(0, j - kernel / 2);
         i <= std::min(num_tokens - 1, j + kernel / 2); ++i) {
      sum += zeroed[i];
    }
    pooled[j] = sum / static_cast<double>(kernel);
  }
  return pooled;
}

std::vector<int32_t> SelectByQuery(std::span<const double> scores, int64_t count, int64_t kernel) {
  if (scores.empty()) return {};
  const std::vector<double> pooled = PooledQueryScores(scores, kernel);
  const int64_t num_past = std::ssize(pooled) - 1;
  return SelectLargest(std::span(pooled).first(static_cast<size_t>(num_past)),
                       std::min(count, num_past), /*tail=*/1);
}

}  // namespace fastkv
