// Numbers as integers of 8 bits that share a scale: WeightType::kInt8, KvType::kInt8.
#ifndef FASTKV_BACKEND_REFERENCE_INT8_ROW_H_
#define FASTKV_BACKEND_REFERENCE_INT8_ROW_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace fastkv::reference {

struct Int8Row {
  std::vector<int8_t> integers;
  float scale = 0;
};

// `values` go through float32. NaN or infinity makes the scale NaN and the integers 0.
inline Int8Row RoundToInt8(const std::vector<double>& values) {
  const std::vector<float> row(values.begin(), values.end());
  Int8Row rounded{.integers = std::vector<int8_t>(row.size(), 0)};
  float largest = 0;
  for (const float value : row) {
    if (!std::isfinite(value)) {
      rounded.scale = std::numeric_limits<float>::quiet_NaN();
      return rounded;
    }
    largest = std::max(largest, std::fabs(value));
  }
  if (largest < 0x1.0p-120f) return rounded;
  rounded.scale = largest / 127;
  const float inverse = 127 / largest;
  for (size_t i = 0; i < row.size(); ++i) {
    rounded.integers[i] = static_cast<int8_t>(std::nearbyint(row[i] * inverse));
  }
  return rounded;
}

}  // namespace fastkv::reference

#endif  // FASTKV_BACKEND_REFERENCE_INT8_ROW_H_
