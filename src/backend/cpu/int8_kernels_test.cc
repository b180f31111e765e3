// Weights of 8 bits, kernel by kernel, at every level of this processor.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"
#include "base/float16.h"
#include "base/random.h"

namespace fastkv::cpu {
namespace {

constexpr WeightFormat kInt8 = WeightFormat::kInt8;

std::vector<CpuLevel> LevelsHere() {
  std::vector<CpuLevel> levels = {CpuLevel::kGeneric};
  for (CpuLevel level :
       {CpuLevel::kAvx2, CpuLevel::kAvx512, CpuLevel::kAvx512Bf16, CpuLevel::kAmx}) {
    if (DetectCpuLevel() >= level) levels.push_back(level);
  }
  return levels;
}

std::vector<float> RandomFloats(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(2 * random.NextDouble() - 1);
  return values;
}

// A matrix in kInt8. Before quantize_row writes them, its bytes are poison.
struct Int8Matrix {
  int64_t row_bytes = 0;
  std::vector<int8_t> bytes;
  std::vector<float> scales;
};

Int8Matrix Quantize(const Kernels& kernels, const std::vector<float>& w, int64_t depth) {
  const int64_t num_rows = static_cast<int64_t>(w.size()) / depth;
  Int8Matrix matrix{.row_bytes = RoundUp(depth, kInt8RowBytes)};
  matrix.bytes.assign(static_cast<size_t>(num_rows * matrix.row_bytes), 99);
  matrix.scales.assign(static_cast<size_t>(num_rows), -1.0f);
  for (int64_t row = 0; row < num_rows; ++row) {
    kernels.quantize_row(w.data() + row * depth, DType::kF32, depth,
                         matrix.bytes.data() + row * matrix.row_bytes, &matrix.scales[row]);
  }
  return matrix;
}

struct ProductShape {
  int64_t rows, columns, depth;
};

// x[rows, depth] by the integers of w, without their scales.
std::vector<float> MatVecResult(const Kernels& kernels, const ProductShape& shape,
                                const std::vector<float>& x, const Int8Matrix& w) {
  const int64_t stride = PreparedInputFloats(shape.depth);
  std::vector<float> prepared(static_cast<size_t>(shape.rows * stride), NAN);
  for (int64_t row = 0; row < shape.rows; ++row) {
    kernels.weight(kInt8).prepare_input(x.data() + row * shape.depth, DType::kF32, shape.depth,
                                        prepared.data() + row * stride);
  }
  std::vector<float> out(static_cast<size_t>(shape.rows * shape.columns), NAN);
  kernels.weight(kInt8).mat_vec({.x = prepared.data(),
                                 .x_stride = stride,
                                 .num_rows = shape.rows,
                                 .w = w.bytes.data(),
                                 .w_row_bytes = w.row_bytes,
                                 .num_outputs = shape.columns,
                                 .depth = shape.depth,
                                 .out = out.data(),
                                 .out_stride = shape.columns});
  return out;
}

double ExactProduct(const ProductShape& shape, const std::vector<float>& x, const Int8Matrix& w,
                    int64_t row, int64_t column) {
  double sum = 0;
  for (int64_t k = 0; k < shape.depth; ++k) {
    sum += double{x[static_cast<size_t>(row * shape.depth + k)]} *
           w.bytes[static_cast<size_t>(column * w.row_bytes + k)];
  }
  return sum;
}

class Int8Kernels : public testing::TestWithParam<CpuLevel> {
 protected:
  const Kernels& kernels() const { return KernelsFor(GetParam()); }
};

TEST_P(Int8Kernels, RowsAreRoundedAsDefined) {
  for (int64_t depth : {1, 7, 63, 64, 65, 300, 1000}) {
    std::vector<float> w = RandomFloats(depth, 1);
    w[0] = -3;  // the largest
    if (depth > 8) {
      w[1] = 3.0f / 127 * 2.5f;  // as good as a tie
      w[2] = 0;
      w[3] = -1e-30f;
      w[4] = 3;
    }
    const Int8Matrix matrix = Quantize(kernels(), w, depth);
    EXPECT_EQ(matrix.scales[0], 3.0f / 127);
    for (int64_t k = 0; k < matrix.row_bytes; ++k) {
      const float expected = k < depth ? std::nearbyint(w[k] * (127 / 3.0f)) : 0;
      ASSERT_EQ(matrix.bytes[k], expected) << k << " of " << depth;
    }
  }
}

TEST_P(Int8Kernels, HalfPrecisionRowsAreRoundedAlike) {
  const std::vector<float> w = RandomFloats(300, 1);
  std::vector<uint16_t> halves;
  std::vector<float> rounded;
  for (float value : w) {
    halves.push_back(ToBFloat16(value).bits);
    rounded.push_back(ToFloat(BFloat16{halves.back()}));
  }
  const Int8Matrix expected = Quantize(kernels(), rounded, 300);
  std::vector<int8_t> bytes(static_cast<size_t>(expected.row_bytes));
  float scale = 0;
  kernels().quantize_row(halves.data(), DType::kBF16, 300, bytes.data(), &scale);
  EXPECT_EQ(scale, expected.scales[0]);
  EXPECT_EQ(bytes, expected.bytes);
}

TEST_P(Int8Kernels, ExtremeRowsNeitherTrapNorHide) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> w = {0,     0,  1e-38f, -1e-40f,  // too small
                                3e38f, -1, 0,      3.4e38f,  // the largest floats
                                NAN,   1,  2,      3,        // broken
                                1,     2,  3,      -infinity};
  const Int8Matrix matrix = Quantize(kernels(), w, 4);
  EXPECT_EQ(matrix.scales[0], 0);
  EXPECT_EQ(matrix.bytes[2], 0);
  EXPECT_EQ(matrix.bytes[static_cast<size_t>(matrix.row_bytes) + 3], 127);
  EXPECT_TRUE(std::isfinite(matrix.scales[1]));
  EXPECT_TRUE(std::isnan(matrix.scales[2]));
  EXPECT_TRUE(std::isnan(matrix.scales[3]));
}

TEST_P(Int8Kernels, MatVecMatchesDouble) {
  const ProductShape shapes[] = {{1, 1, 1},    {2, 5, 7},   {3, 33, 64},  {8, 70, 129},
                                 {4, 31, 255}, {5, 4, 256}, {6, 13, 257}, {7, 9, 1000},
                                 {1, 64, 513}, {8, 3, 4099}};
  for (const ProductShape& shape : shapes) {
    const std::vector<float> x = RandomFloats(shape.rows * shape.depth, 1);
    const Int8Matrix w =
        Quantize(kernels(), RandomFloats(shape.columns * shape.depth, 2), shape.depth);
    const std::vector<float> out = MatVecResult(kernels(), shape, x, w);
    for (int64_t i = 0; i < shape.rows; ++i) {
      for (int64_t j = 0; j < shape.columns; ++j) {
        // Inputs below 1 are off by at most 2^-16, weights below 127; five deviations of the sum.
        ASSERT_NEAR(out[static_cast<size_t>(i * shape.columns + j)],
                    ExactProduct(shape, x, w, i, j), 5 * 0x1.0p-16 * 64 * std::sqrt(shape.depth))
            << i << ", " << j << " of depth " << shape.depth;
      }
    }
  }
}

// Whole numbers up to 32767 in every block are integers as they are.
TEST_P(Int8Kernels, WholeNumbersAreExact) {
  const ProductShape shape{2, 6, 600};
  Random random(3);
  std::vector<float> x(static_cast<size_t>(shape.rows * shape.depth));
  for (float& value : x) value = static_cast<float>(random.NextInt(2001)) - 1000;
  for (size_t k = 0; k < x.size(); k += 50) x[k] = 32767;  // every block of 256 has one
  std::vector<float> weights(static_cast<size_t>(shape.columns * shape.depth));
  for (float& value : weights) value = static_cast<float>(random.NextInt(255)) - 127;
  for (int64_t j = 0; j < shape.columns; ++j) weights[static_cast<size_t>(j * shape.depth)] = 127;
  const Int8Matrix w = Quantize(kernels(), weights, shape.depth);
  const std::vector<float> out = MatVecResult(kernels(), shape, x, w);
  for (int64_t i = 0; i < shape.rows; ++i) {
    for (int64_t j = 0; j < shape.columns; ++j) {
      const double exact = ExactProduct(shape, x, w, i, j);
      ASSERT_NEAR(out[static_cast<size_t>(i * shape.columns + j)], exact, 2e-7 * 32767 * 127 * 8);
    }
  }
}

// All products of the largest magnitude, where a sum of 16 or too many of 32 bits would overflow.
TEST_P(Int8Kernels, LargestSumsFit) {
  for (const float sign : {1.0f, -1.0f}) {
    const ProductShape shape{1, 1, 8192};
    const std::vector<float> x(static_cast<size_t>(shape.depth), 1.0f);
    const std::vector<float> weights(static_cast<size_t>(shape.depth), sign * 2);
    const Int8Matrix w = Quantize(kernels(), weights, shape.depth);
    const std::vector<float> out = MatVecResult(kernels(), shape, x, w);
    EXPECT_NEAR(out[0], sign * 127 * 8192, 1);
  }
}

TEST_P(Int8Kernels, MatVecGivesARowTheSameBitsInAnyCompany) {
  const ProductShape all{8, 70, 333};
  const std::vector<float> x = RandomFloats(all.rows * all.depth, 3);
  const Int8Matrix w = Quantize(kernels(), RandomFloats(all.columns * all.depth, 4), all.depth);
  const std::vector<float> together = MatVecResult(kernels(), all, x, w);
  for (int64_t rows = 1; rows < all.rows; ++rows) {
    const std::vector<float> result = MatVecResult(kernels(), {rows, all.columns, all.depth}, x, w);
    ASSERT_TRUE(std::equal(result.begin(), result.end(), together.begin())) << rows;
  }
}

TEST_P(Int8Kernels, BrokenInputsShow) {
  const ProductShape shape{1, 5, 300};
  const Int8Matrix w =
      Quantize(kernels(), RandomFloats(shape.columns * shape.depth, 4), shape.depth);
  for (const float broken : {NAN, std::numeric_limits<float>::infinity()}) {
    std::vector<float> x = RandomFloats(shape.depth, 3);
    x[270] = broken;
    for (float sum : MatVecResult(kernels(), shape, x, w)) EXPECT_TRUE(std::isnan(sum));
  }
}

TEST_P(Int8Kernels, PanelsHoldTheIntegers) {
  const int64_t depth = 41;
  const int64_t columns = kernels().panel_width + 3;
  const int64_t width = kernels().panel_width;
  const Int8Matrix w = Quantize(kernels(), RandomFloats(columns * depth, 5), depth);
  std::vector<float> panels(static_cast<size_t>(2 * width * depth), NAN);
  kernels().weight(kInt8).pack_transposed(w.bytes.data(), w.row_bytes, columns, depth,
                                          panels.data());
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t k = 0; k < depth; ++k) {
      ASSERT_EQ(panels[static_cast<size_t>((j / width * depth + k) * width + j % width)],
                w.bytes[static_cast<size_t>(j * w.row_bytes + k)]);
    }
  }
}

TEST_P(Int8Kernels, PairsHoldTheIntegers) {
  const auto pack_pairs = kernels().weight(kInt8).pack_pairs;
  if (pack_pairs == nullptr) GTEST_SKIP() << "the level multiplies no bf16";
  const int64_t width = kernels().panel_width;
  const int64_t columns = width + 3;
  for (int64_t depth : {1, 32, 41, 64}) {
    const Int8Matrix w = Quantize(kernels(), RandomFloats(columns * depth, 5), depth);
    const int64_t padded = RoundUp(depth, kPairDepth);
    std::vector<uint32_t> panels(static_cast<size_t>(width * padded), 0x7fc07fc0);
    pack_pairs(w.bytes.data(), w.row_bytes, columns, depth, panels.data());
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t k = 0; k < padded; ++k) {
        const uint32_t pair =
            panels[static_cast<size_t>((j / width * (padded / 2) + k / 2) * width + j % width)];
        const BFloat16 half{static_cast<uint16_t>(k % 2 == 0 ? pair : pair >> 16)};
        const float expected = k < depth ? w.bytes[static_cast<size_t>(j * w.row_bytes + k)] : 0.0f;
        ASSERT_EQ(ToFloat(half), expected) << j << ", " << k << " of depth " << depth;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Int8Kernels, testing::ValuesIn(LevelsHere()),
                         [](const testing::TestParamInfo<CpuLevel>& info) {
                           return std::string(CpuLevelName(info.param));
                         });

}  // namespace
}  // namespace fastkv::cpu
