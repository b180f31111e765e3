#include "backend/cpu/vector_ops.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"

namespace fastkv::cpu {
namespace {

class EveryVectorLevel : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    if (DetectCpuLevel() < GetParam()) GTEST_SKIP() << "this processor lacks the level";
    SetVectorLevel(GetParam());
  }
  void TearDown() override { SetVectorLevel(DetectCpuLevel()); }
};

TEST_P(EveryVectorLevel, RoundsToBFloat16LikeTheScalarCode) {
  for (const uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
    std::vector<float> floats(65536);
    for (uint32_t high = 0; high < 65536; ++high) {
      floats[high] = std::bit_cast<float>((high << 16) | low);
    }
    std::vector<BFloat16> rounded(floats.size());
    FloatsToBFloat16(floats.data(), rounded.data(), static_cast<int64_t>(floats.size()));
    for (size_t i = 0; i < floats.size(); ++i) {
      ASSERT_EQ(rounded[i].bits, ToBFloat16(floats[i]).bits) << i << ", low half " << low;
    }
  }
}

TEST_P(EveryVectorLevel, ScalesIntegers) {
  std::vector<int8_t> integers;
  for (int i = -128; i < 128; ++i) integers.push_back(static_cast<int8_t>(i));
  for (const size_t count : {0u, 1u, 7u, 80u, 255u, 256u}) {
    std::vector<float> out(257, -1.0f);
    ScaledInt8ToFloats(integers.data(), 0.3f, static_cast<int64_t>(count), out.data());
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], 0.3f * static_cast<float>(integers[i]));
    EXPECT_EQ(out[count], -1.0f);
  }
}

TEST_P(EveryVectorLevel, WritesExactlyCountElements) {
  for (int64_t count = 0; count < 40; ++count) {
    const std::vector<float> ones(40, 1.0f);
    std::vector<float> sums(40, 2.0f);
    std::vector<BFloat16> rounded(40, BFloat16{7});
    AddTo(sums.data(), ones.data(), count);
    FloatsToBFloat16(ones.data(), rounded.data(), count);
    for (int64_t i = 0; i < 40; ++i) {
      EXPECT_EQ(sums[static_cast<size_t>(i)], i < count ? 3.0f : 2.0f);
      EXPECT_EQ(rounded[static_cast<size_t>(i)].bits, i < count ? 0x3f80 : 7);
    }
  }
}

TEST_P(EveryVectorLevel, NormalizesRows) {
  Random random(1);
  for (const int64_t count : {1, 7, 64, 2050}) {
    std::vector<float> x(static_cast<size_t>(count)), weight(x.size()), out(x.size());
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(random.NextDouble() - 0.3);
      weight[i] = static_cast<float>(random.NextDouble());
      sum += double{x[i]} * x[i];
    }
    RmsNormRow(x.data(), weight.data(), 1e-5f, count, out.data());
    const double inverse = 1 / std::sqrt(sum / static_cast<double>(count) + 1e-5);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(out[i], x[i] * inverse * weight[i], 2e-6 * std::abs(x[i] * inverse));
    }
  }
}

TEST_P(EveryVectorLevel, DotMatchesDouble) {
  Random random(2);
  for (const int64_t count : {0, 1, 7, 64, 333}) {
    std::vector<float> a(static_cast<size_t>(count)), b(a.size());
    double dot = 0;
    double squares = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<float>(random.NextDouble() - 0.5);
      b[i] = static_cast<float>(random.NextDouble());
      dot += double{a[i]} * b[i];
      squares += double{a[i]} * a[i];
    }
    EXPECT_NEAR(Dot(a.data(), b.data(), count), dot, 1e-5);
    EXPECT_NEAR(SumOfSquares(a.data(), count), squares, 1e-5);
  }
}

TEST_P(EveryVectorLevel, SiluHoldsAtTheEnds) {
  const std::vector<float> gate = {0, 1, -1, 100, -100, -1e30f, 1e30f, NAN};
  const std::vector<float> up(gate.size(), 2.0f);
  std::vector<float> out(gate.size());
  SiluMultiplyRow(gate.data(), up.data(), static_cast<int64_t>(gate.size()), out.data());
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_NEAR(out[1], 2 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(out[2], -2 / (1 + std::exp(1.0)), 1e-6);
  EXPECT_EQ(out[3], 200.0f);
  EXPECT_NEAR(out[4], 0.0f, 1e-30);
  EXPECT_TRUE(std::isfinite(out[5]));
  EXPECT_EQ(out[6], 2e30f);
  EXPECT_TRUE(std::isnan(out[7]));
}

TEST_P(EveryVectorLevel, FindsNanWhereverItIs) {
  for (size_t at = 0; at < 37; ++at) {
    std::vector<float> x(37, 1.0f);
    x[at] = 5.0f;
    EXPECT_EQ(MaxOrNan(x.data(), 37), 5.0f);
    x[at] = NAN;
    EXPECT_TRUE(std::isnan(MaxOrNan(x.data(), 37)));
  }
}

INSTANTIATE_TEST_SUITE_P(VectorOps, EveryVectorLevel,
                         testing::Values(CpuLevel::kGeneric, CpuLevel::kAvx2, CpuLevel::kAvx512),
                         [](const testing::TestParamInfo<CpuLevel>& info) {
                           return std::string(CpuLevelName(info.param));
                         });

}  // namespace
}  // namespace fastkv::cpu
