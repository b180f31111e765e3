#include "method/expected_query.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fastkv {
namespace {

constexpr int64_t kHeadDim = 6;

const std::vector<float> kFrequencies = {1.0F, 0.3F, 0.01F};
const RotaryEmbedding kRotary{.inverse_frequencies = kFrequencies, .attention_factor = 1.1F};

std::vector<double> Rotated(const std::vector<double>& x, double position) {
  std::vector<double> rotated(kHeadDim);
  for (size_t c = 0; c < kHeadDim / 2; ++c) {
    const double cosine = std::cos(position * kFrequencies[c]) * 1.1;
    const double sine = std::sin(position * kFrequencies[c]) * 1.1;
    rotated[c] = cosine * x[c] - sine * x[c + kHeadDim / 2];
    rotated[c + kHeadDim / 2] = cosine * x[c + kHeadDim / 2] + sine * x[c];
  }
  return rotated;
}

std::vector<std::vector<double>> Queries() {
  std::vector<std::vector<double>> queries;
  for (int i = 0; i < 9; ++i) {
    queries.emplace_back();
    for (int c = 0; c < kHeadDim; ++c)
      queries.back().push_back(std::sin(1.7 * i + 0.9 * c) + 0.2 * c);
  }
  return queries;
}

// The mean rotation as a matrix: its columns are the averaged images of the unit vectors.
std::vector<std::vector<double>> MeanMatrix(int64_t begin, int64_t end) {
  std::vector<std::vector<double>> matrix(kHeadDim, std::vector<double>(kHeadDim));
  for (int64_t column = 0; column < kHeadDim; ++column) {
    std::vector<double> unit(kHeadDim);
    unit[column] = 1;
    for (int64_t position = begin; position < end; ++position) {
      const std::vector<double> image = Rotated(unit, static_cast<double>(position));
      for (int64_t row = 0; row < kHeadDim; ++row) {
        matrix[row][column] += image[row] / static_cast<double>(end - begin);
      }
    }
  }
  return matrix;
}

TEST(ExpectedQueryTest, IsTheMomentsUnderTheMeanRotation) {
  const auto queries = Queries();
  const auto count = static_cast<double>(queries.size());
  std::vector<float> sum(kHeadDim);
  std::vector<float> products(kHeadDim * kHeadDim);
  std::vector<double> mean(kHeadDim);
  for (const auto& query : queries) {
    for (int64_t c = 0; c < kHeadDim; ++c) {
      sum[c] += static_cast<float>(query[c]);
      mean[c] += query[c] / count;
      for (int64_t e = 0; e < kHeadDim; ++e) {
        products[c * kHeadDim + e] += static_cast<float>(query[c] * query[e]);
      }
    }
  }
  ExpectedQuery(AverageRotation(kRotary, 100, 140), 9, sum, products);
  const auto matrix = MeanMatrix(100, 140);
  for (int64_t c = 0; c < kHeadDim; ++c) {
    double expected = 0;
    for (int64_t k = 0; k < kHeadDim; ++k) expected += matrix[c][k] * mean[k];
    EXPECT_NEAR(sum[c], expected, 1e-5);
    for (int64_t e = 0; e < kHeadDim; ++e) {
      double covariance = 0;
      for (const auto& query : queries) {
        double left = 0;
        double right = 0;
        for (int64_t k = 0; k < kHeadDim; ++k) {
          left += matrix[c][k] * (query[k] - mean[k]);
          right += matrix[e][k] * (query[k] - mean[k]);
        }
        covariance += left * right / count;
      }
      EXPECT_NEAR(products[c * kHeadDim + e], covariance, 1e-5);
    }
  }
}

TEST(ExpectedQueryTest, OnePositionIsARotation) {
  std::vector<float> sum = {1, 2, 3, 4, 5, 6};
  std::vector<float> products(kHeadDim * kHeadDim);
  for (int64_t c = 0; c < kHeadDim; ++c) {
    for (int64_t e = 0; e < kHeadDim; ++e) products[c * kHeadDim + e] = sum[c] * sum[e];
  }
  ExpectedQuery(AverageRotation(kRotary, 7, 8), 1, sum, products);
  const std::vector<double> expected = Rotated({1, 2, 3, 4, 5, 6}, 7);
  for (int64_t c = 0; c < kHeadDim; ++c) EXPECT_NEAR(sum[c], expected[c], 1e-5);
  for (const float covariance : products) EXPECT_NEAR(covariance, 0, 1e-6);
}

TEST(ExpectedQueryTest, FastAnglesAverageOut) {
  const MeanRotation rotation = AverageRotation(kRotary, 5, 5 + 512);
  EXPECT_LT(std::hypot(rotation.cosines[0], rotation.sines[0]), 0.01);
  EXPECT_LT(std::hypot(rotation.cosines[2], rotation.sines[2]), 0.3);
  EXPECT_GT(std::hypot(rotation.cosines[2], rotation.sines[2]), 0.1);
}

}  // namespace
}  // namespace fastkv
