#include "method/propagation/ranking.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/check.h"

namespace fastkv {

std::vector<int32_t> DescendingOrder(std::span<const double> scores) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    if (std::isnan(scores[b])) return !std::isnan(scores[a]);
    return scores[a] > scores[b];
  });
  return order;
}

std::vector<int32_t> DescendingRanks(std::span<const double> scores) {
  const std::vector<int32_t> order = DescendingOrder(scores);
  std::vector<int32_t> ranks(scores.size());
  for (size_t place = 0; place < order.size(); ++place) {
    ranks[order[place]] = static_cast<int32_t>(place) + 1;
  }
  return ranks;
}

std::vector<int32_t> SelectLargest(std::span<const double> scores, int64_t count, int64_t tail) {
  FASTKV_CHECK_GE(count, 0);
  FASTKV_CHECK_LE(count, std::ssize(scores));
  std::vector<int32_t> selected = DescendingOrder(scores);
  selected.resize(static_cast<size_t>(count));
  std::sort(selected.begin(), selected.end());
  for (int64_t i = 0; i < tail; ++i) {
    selected.push_back(static_cast<int32_t>(std::ssize(scores) + i));
  }
  return selected;
}

}  // namespace fastkv
