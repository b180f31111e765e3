#include "tests/ops/case_data.h"

namespace fastkv::op_cases {

std::vector<float> Gaussian(Random& random, int64_t count, float deviation) {
  std::vector<float> values(count);
  // Large inputs only feed benchmarks: repeating a block there saves seconds of set-up.
  constexpr int64_t kBlock = 1'000'003;
  for (int64_t i = 0; i < count; ++i) {
    values[i] = i < kBlock ? random.NextGaussian() * deviation : values[i - kBlock];
  }
  return values;
}

std::vector<int32_t> Integers(Random& random, int64_t count, int64_t bound) {
  std::vector<int32_t> values(count);
  for (int32_t& value : values) value = static_cast<int32_t>(random.NextInt(bound));
  return values;
}

std::vector<int32_t> GappedPositions(Random& random, int64_t count, int64_t max_gap) {
  std::vector<int32_t> positions(count);
  int32_t position = static_cast<int32_t>(random.NextInt(max_gap));
  for (int32_t& entry : positions) {
    entry = position;
    position += static_cast<int32_t>(1 + random.NextInt(max_gap));
  }
  return positions;
}

std::vector<int32_t> AscendingSubset(Random& random, int64_t count, int64_t bound) {
  std::vector<int32_t> chosen;
  for (int64_t i = 0; i < bound; ++i) {
    const int64_t wanted = count - static_cast<int64_t>(chosen.size());
    if (random.NextInt(bound - i) < wanted) chosen.push_back(static_cast<int32_t>(i));
  }
  return chosen;
}

std::string Label(const std::vector<std::pair<std::string, int64_t>>& parts) {
  std::string label;
  for (const auto& [name, number] : parts) {
    if (!label.empty()) label += '_';
    label += name + std::to_string(number);
  }
  return label;
}

}  // namespace fastkv::op_cases
