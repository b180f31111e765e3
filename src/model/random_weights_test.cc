#include "model/random_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/float16.h"
#include "tensor/block_formats.h"

namespace fastkv {
namespace {

TEST(RandomWeights, MatricesHaveTheStandardDeviationThatKeepsASize) {
  RandomWeights weights(/*seed=*/1, /*num_threads=*/2, SystemAllocator());
  const ConstTensorView view = weights.Tensor("a.weight", {300, 1001}).value();
  ASSERT_EQ(view.dtype(), DType::kBF16);
  const int64_t count = view.num_elements();
  double sum = 0;
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double value = ToFloat(view.As<BFloat16>()[i]);
    sum += value;
    squares += value * value;
  }
  // Within five standard errors of what the definition says.
  const double deviation = 1 / std::sqrt(1001.0);
  const double root_count = std::sqrt(static_cast<double>(count));
  EXPECT_NEAR(sum / count, 0, 5 * deviation / root_count);
  EXPECT_NEAR(std::sqrt(squares / count), deviation, 5 * deviation / root_count);
}

TEST(RandomWeights, FollowFromSeedAndNameWhateverTheThreads) {
  const auto bytes_of = [](uint64_t seed, int num_threads, const char* name) {
    RandomWeights weights(seed, num_threads, SystemAllocator());
    const ConstTensorView view = weights.Tensor(name, {513, 257}).value();
    return std::string(static_cast<const char*>(view.data()), 513 * 257 * 2);
  };
  const std::string first = bytes_of(1, 1, "a.weight");
  EXPECT_EQ(first, bytes_of(1, 3, "a.weight"));
  EXPECT_NE(first, bytes_of(2, 1, "a.weight"));
  EXPECT_NE(first, bytes_of(1, 1, "b.weight"));
}

TEST(RandomWeights, GiveEveryTensorItsOwnMemoryOnce) {
  RandomWeights weights(1, 1, SystemAllocator());
  const ConstTensorView first = weights.Tensor("a.weight", {8, 8}).value();
  const ConstTensorView second = weights.Tensor("b.weight", {8, 8}).value();
  EXPECT_NE(first.data(), second.data());
  EXPECT_EQ(first.data(), weights.Tensor("a.weight", {8, 8}).value().data());
}

TEST(RandomWeights, BlocksHaveTheStandardDeviationThatKeepsASize) {
  for (int i = 0; i < kNumStoredTypes; ++i) {
    const auto type = static_cast<StoredType>(i);
    if (IsElementType(type)) continue;
    RandomWeights weights(1, 2, SystemAllocator(), type);
    const WeightView matrix = weights.Matrix("a.weight", 300, 1024).value();
    EXPECT_EQ(matrix.type, type);
    EXPECT_EQ(matrix.row_bytes, RowBytes(type, 1024));
    EXPECT_EQ(matrix.data, weights.Matrix("a.weight", 300, 1024).value().data);
    double sum = 0;
    double squares = 0;
    std::vector<double> row(1024);
    for (int64_t r = 0; r < matrix.num_rows; ++r) {
      DecodeRow(type, matrix.Row(r), 1024, row.data());
      for (const double value : row) {
        sum += value;
        squares += value * value;
      }
    }
    const double count = 300 * 1024;
    EXPECT_NEAR(sum / count, 0, 0.15 / 32) << StoredTypeName(type);
    // Scales and offsets are random too and serve 16 values or more: a sample of them, which the
    // unit is measured with, is off by up to 2 %.
    EXPECT_NEAR(std::sqrt(squares / count), 1.0 / 32, 0.03 / 32) << StoredTypeName(type);
  }
}

TEST(RandomWeights, BlocksFollowFromSeedAndNameWhateverTheThreads) {
  const auto bytes_of = [](uint64_t seed, int num_threads, const char* name) {
    RandomWeights weights(seed, num_threads, SystemAllocator(), StoredType::kQ4K);
    const WeightView matrix = weights.Matrix(name, 1025, 256).value();
    return std::string(static_cast<const char*>(matrix.data), 1025 * 144);
  };
  const std::string first = bytes_of(1, 1, "a.weight");
  EXPECT_EQ(first, bytes_of(1, 3, "a.weight"));
  EXPECT_NE(first, bytes_of(2, 1, "a.weight"));
  EXPECT_NE(first, bytes_of(1, 1, "b.weight"));
}

TEST(RandomWeights, TypesFollowTheRulesOfQuantisers) {
  const auto type_of = [](StoredType type, const char* name, int64_t num_columns) {
    return RandomWeights::TypeOfMatrix(type, name, num_columns).value();
  };
  EXPECT_EQ(type_of(StoredType::kBF16, "lm_head.weight", 7), StoredType::kBF16);
  EXPECT_EQ(type_of(StoredType::kQ4_0, "q_proj.weight", 576), StoredType::kQ4_0);
  EXPECT_EQ(type_of(StoredType::kQ4_0, "lm_head.weight", 512), StoredType::kQ6K);
  EXPECT_EQ(type_of(StoredType::kQ4_1, "model.embed_tokens.weight", 576), StoredType::kQ8_0);
  EXPECT_EQ(type_of(StoredType::kQ8_0, "lm_head.weight", 512), StoredType::kQ8_0);
  EXPECT_EQ(type_of(StoredType::kQ2K, "q_proj.weight", 576), StoredType::kQ4_0);
  EXPECT_EQ(type_of(StoredType::kQ4K, "q_proj.weight", 576), StoredType::kQ5_0);
  EXPECT_EQ(type_of(StoredType::kQ5K, "q_proj.weight", 576), StoredType::kQ5_1);
  EXPECT_EQ(type_of(StoredType::kQ6K, "q_proj.weight", 576), StoredType::kQ8_0);
  EXPECT_EQ(type_of(StoredType::kIQ4XS, "q_proj.weight", 576), StoredType::kIQ4NL);
  const auto broken = RandomWeights::TypeOfMatrix(StoredType::kQ4_0, "q_proj.weight", 48);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.status().message().find("48"), std::string::npos);
}

TEST(RandomWeights, NormsAreOneAndBiasesZero) {
  RandomWeights weights(1, 1, SystemAllocator());
  const ConstTensorView norm = weights.Tensor("model.norm.weight", {3}).value();
  const ConstTensorView bias = weights.Tensor("q_proj.bias", {3}).value();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(norm.As<float>()[i], 1);
    EXPECT_EQ(bias.As<float>()[i], 0);
  }
}

}  // namespace
}  // namespace fastkv
