#include "method/expected_query.h"

#include <cmath>

#include "base/check.h"

namespace fastkv {
namespace {

// R x for the vector x of `rotation`'s size whose components stand `stride` apart.
void Rotate(const MeanRotation& rotation, double* x, size_t stride) {
  const size_t half = rotation.cosines.size();
  for (size_t c = 0; c < half; ++c) {
    double& low = x[c * stride];
    double& high = x[(c + half) * stride];
    const double rotated_low = rotation.cosines[c] * low - rotation.sines[c] * high;
    high = rotation.cosines[c] * high + rotation.sines[c] * low;
    low = rotated_low;
  }
}

}  // namespace

MeanRotation AverageRotation(const RotaryEmbedding& rotary, int64_t begin, int64_t end) {
  FASTKV_CHECK_LT(begin, end);
  MeanRotation rotation;
  const double scale = rotary.attention_factor / static_cast<double>(end - begin);
  for (const float frequency : rotary.inverse_frequencies) {
    double cosines = 0;
    double sines = 0;
    for (int64_t position = begin; position < end; ++position) {
      const float angle = static_cast<float>(position) * frequency;
      cosines += std::cos(static_cast<double>(angle));
      sines += std::sin(static_cast<double>(angle));
    }
    rotation.cosines.push_back(cosines * scale);
    rotation.sines.push_back(sines * scale);
  }
  return rotation;
}

void ExpectedQuery(const MeanRotation& rotation, int64_t num_rows, std::span<float> sum,
                   std::span<float> products) {
  const size_t head_dim = sum.size();
  FASTKV_CHECK_EQ(head_dim, 2 * rotation.cosines.size());
  FASTKV_CHECK_EQ(products.size(), head_dim * head_dim);
  const auto count = static_cast<double>(num_rows);
  std::vector<double> mean(sum.begin(), sum.end());
  for (double& value : mean) value /= count;
  std::vector<double> covariance(products.begin(), products.end());
  for (size_t c = 0; c < head_dim; ++c) {
    for (size_t e = 0; e < head_dim; ++e) {
      double& value = covariance[c * head_dim + e];
      value = value / count - mean[c] * mean[e];
    }
  }
  Rotate(rotation, mean.data(), 1);
  for (size_t e = 0; e < head_dim; ++e) Rotate(rotation, &covariance[e], head_dim);
  for (size_t c = 0; c < head_dim; ++c) Rotate(rotation, &covariance[c * head_dim], 1);
  for (size_t c = 0; c < head_dim; ++c) sum[c] = static_cast<float>(mean[c]);
  for (size_t c = 0; c < products.size(); ++c) products[c] = static_cast<float>(covariance[c]);
}

}  // namespace fastkv
