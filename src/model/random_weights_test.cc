#include "model/random_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/float16.h"

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
