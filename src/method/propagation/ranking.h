// Orders of score vectors on the host. One order everywhere: larger scores first, ties to the lower
// index, NaN behind every number. All functions are pure.
#ifndef FASTKV_METHOD_PROPAGATION_RANKING_H_
#define FASTKV_METHOD_PROPAGATION_RANKING_H_

#include <cstdint>
#include <span>
#include <vector>

namespace fastkv {

// The indices of `scores`, best first.
std::vector<int32_t> DescendingOrder(std::span<const double> scores);

// The place of each score in that order, 1 the best: [scores.size()].
std::vector<int32_t> DescendingRanks(std::span<const double> scores);

// The `count` best indices, ascending, followed by scores.size() .. scores.size() + tail - 1: what
// Backend::SelectTopK gives for one row. REQUIRES: 0 <= count <= scores.size().
std::vector<int32_t> SelectLargest(std::span<const double> scores, int64_t count, int64_t tail);

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_RANKING_H_
