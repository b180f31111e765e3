// Random inputs of the case table.
#ifndef FASTKV_TESTS_OPS_CASE_DATA_H_
#define FASTKV_TESTS_OPS_CASE_DATA_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace fastkv::op_cases {

// Normal numbers of the given standard deviation.
std::vector<float> Gaussian(Random& random, int64_t count, float deviation = 1);
// Uniform in [0, bound).
std::vector<int32_t> Integers(Random& random, int64_t count, int64_t bound);
// Ascending, with gaps of 1 to `max_gap`: the positions of kept entries.
std::vector<int32_t> GappedPositions(Random& random, int64_t count, int64_t max_gap = 7);
// `count` distinct numbers below `bound`, ascending.
std::vector<int32_t> AscendingSubset(Random& random, int64_t count, int64_t bound);
// "a3_b4": names and numbers of a case's label.
std::string Label(const std::vector<std::pair<std::string, int64_t>>& parts);

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_CASE_DATA_H_
