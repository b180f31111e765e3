// Weights in blocks, kernel by kernel and format by format, at every level of this processor,
// against what tensor/block_formats says that they stand for.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"
#include "base/float16.h"
#include "base/random.h"
#include "tensor/block_formats.h"
#include "tensor/random_blocks.h"

namespace fastkv::cpu {
namespace {

// Random blocks, every fifth with a scale of 0, every fifth with a negative and every fifth with a
// subnormal one.
struct BlockMatrix {
  StoredType type;
  int64_t num_rows = 0;
  int64_t depth = 0;
  std::vector<unsigned char> bytes;

  int64_t row_bytes() const { return RowBytes(type, depth); }
  std::vector<double> Row(int64_t row) const {
    std::vector<double> values(static_cast<size_t>(depth));
    DecodeRow(type, bytes.data() + row * row_bytes(), depth, values.data());
    return values;
  }
};

BlockMatrix MakeMatrix(StoredType type, int64_t num_rows, int64_t depth) {
  BlockMatrix matrix{.type = type, .num_rows = num_rows, .depth = depth};
  matrix.bytes.resize(static_cast<size_t>(num_rows * matrix.row_bytes()));
  Random random(static_cast<uint64_t>(depth));
  RandomBlocks(type).Fill(1, num_rows * depth, random, matrix.bytes.data());
  const size_t block_bytes = static_cast<size_t>(BlockOf(type).num_bytes);
  const size_t scale = static_cast<size_t>(BlockHalves(type)[0]);
  for (size_t i = 0; (i + 1) * block_bytes <= matrix.bytes.size(); ++i) {
    unsigned char* const half = &matrix.bytes[i * block_bytes + scale];
    if (i % 5 == 1) half[0] = half[1] = 0;
    if (i % 5 == 2) half[1] ^= 0x80;
    if (i % 5 == 3) half[0] = 3, half[1] = 0;
  }
  return matrix;
}

std::vector<float> RandomFloats(int64_t count) {
  Random random(5);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(2 * random.NextDouble() - 1);
  return values;
}

struct Param {
  CpuLevel level;
  StoredType type;
};

std::vector<Param> Params() {
  std::vector<Param> params;
  for (CpuLevel level : {CpuLevel::kGeneric, CpuLevel::kAvx2, CpuLevel::kAvx512,
                         CpuLevel::kAvx512Bf16, CpuLevel::kAmx}) {
    if (DetectCpuLevel() < level) continue;
    for (int type = 0; type < kNumStoredTypes; ++type) {
      if (IsElementType(static_cast<StoredType>(type))) continue;
      params.push_back({level, static_cast<StoredType>(type)});
    }
  }
  return params;
}

class BlockKernels : public testing::TestWithParam<Param> {
 protected:
  StoredType type() const { return GetParam().type; }
  int64_t block_values() const { return BlockOf(type()).num_values; }
  const Kernels& kernels() const { return KernelsFor(GetParam().level); }
  const WeightKernels& weight_kernels() const { return kernels().weight(FormatOf(type())); }

  // x[num_rows, depth] by all rows of w.
  std::vector<float> Multiply(const std::vector<float>& x, const BlockMatrix& w) const {
    const int64_t num_rows = static_cast<int64_t>(x.size()) / w.depth;
    const int64_t stride = PreparedInputFloats(w.depth);
    std::vector<float> prepared(static_cast<size_t>(num_rows * stride), NAN);
    for (int64_t row = 0; row < num_rows; ++row) {
      weight_kernels().prepare_input(x.data() + row * w.depth, DType::kF32, w.depth,
                                     prepared.data() + row * stride);
    }
    std::vector<float> out(static_cast<size_t>(num_rows * w.num_rows), NAN);
    weight_kernels().mat_vec({.x = prepared.data(),
                              .x_stride = stride,
                              .num_rows = num_rows,
                              .w = w.bytes.data(),
                              .w_row_bytes = w.row_bytes(),
                              .num_outputs = w.num_rows,
                              .depth = w.depth,
                              .out = out.data(),
                              .out_stride = w.num_rows});
    return out;
  }
};

TEST_P(BlockKernels, PanelsHoldTheValuesExactly) {
  const int64_t width = kernels().panel_width;
  for (int64_t columns : {int64_t{1}, width - 1, width, 2 * width + 3}) {
    for (int64_t depth : {block_values(), int64_t{256}}) {
      const BlockMatrix w = MakeMatrix(type(), columns, depth);
      const int64_t num_panels = (columns + width - 1) / width;
      std::vector<float> panels(static_cast<size_t>(num_panels * width * depth), NAN);
      weight_kernels().pack_transposed(w.bytes.data(), w.row_bytes(), columns, depth,
                                       panels.data());
      for (int64_t j = 0; j < num_panels * width; ++j) {
        const std::vector<double> row = w.Row(std::min(j, columns - 1));
        const float* column = panels.data() + j / width * width * depth + j % width;
        for (int64_t k = 0; k < depth; ++k) {
          if (j < columns) {
            ASSERT_EQ(column[k * width], static_cast<float>(row[static_cast<size_t>(k)]))
                << "row " << j << ", column " << k;
          } else {
            ASSERT_TRUE(std::isfinite(column[k * width]));
          }
        }
      }
    }
  }
}

TEST_P(BlockKernels, PairsHoldTheValuesInBFloat16) {
  if (weight_kernels().pack_pairs == nullptr) GTEST_SKIP() << "needs AVX-512-BF16";
  const int64_t width = kernels().panel_width;
  const int64_t columns = 2 * width + 3;
  for (int64_t depth : {block_values(), int64_t{256}}) {
    const BlockMatrix w = MakeMatrix(type(), columns, depth);
    std::vector<uint32_t> panels(static_cast<size_t>(3 * width * depth / 2));
    weight_kernels().pack_pairs(w.bytes.data(), w.row_bytes(), columns, depth, panels.data());
    for (int64_t j = 0; j < columns; ++j) {
      const std::vector<double> row = w.Row(j);
      const uint32_t* column = panels.data() + j / width * width * depth / 2 + j % width;
      for (int64_t k = 0; k < depth; ++k) {
        const auto bits = static_cast<uint16_t>(column[k / 2 * width] >> k % 2 * 16);
        // As values: a zero's sign depends on where its offset is subtracted.
        ASSERT_EQ(ToFloat(BFloat16{bits}),
                  ToFloat(ToBFloat16(static_cast<float>(row[static_cast<size_t>(k)]))))
            << "row " << j << ", column " << k;
      }
    }
  }
}

TEST_P(BlockKernels, MatVecMatchesDouble) {
  struct Shape {
    int64_t rows, columns, blocks;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 7, 3}, Shape{3, 4, 2}, Shape{4, 9, 11},
                             Shape{5, 3, 1}, Shape{6, 70, 5}, Shape{7, 5, 9}, Shape{8, 37, 4}}) {
    const int64_t depth = shape.blocks * block_values() * (block_values() == 32 ? 3 : 1);
    const BlockMatrix w = MakeMatrix(type(), shape.columns, depth);
    const std::vector<float> x = RandomFloats(shape.rows * depth);
    const std::vector<float> out = Multiply(x, w);
    for (int64_t j = 0; j < shape.columns; ++j) {
      const std::vector<double> row = w.Row(j);
      double squares = 0;
      for (const double value : row) squares += value * value;
      for (int64_t i = 0; i < shape.rows; ++i) {
        double exact = 0;
        for (int64_t k = 0; k < depth; ++k) {
          exact += double{x[static_cast<size_t>(i * depth + k)]} * row[static_cast<size_t>(k)];
        }
        // Inputs below 1 are off by at most 2^-16; five deviations of the sum.
        ASSERT_NEAR(out[static_cast<size_t>(i * shape.columns + j)], exact,
                    5 * 0x1.0p-16 * std::sqrt(squares) + 1e-12)
            << i << ", " << j << " of depth " << depth;
      }
    }
  }
}

// Where inputs have a mean, an offset and what it is taken from are far larger than their
// difference.
TEST_P(BlockKernels, OffsetsMayCancel) {
  const int64_t depth = 4096;
  const int64_t columns = 5;
  const BlockMatrix w = MakeMatrix(type(), columns, depth);
  std::vector<float> x = RandomFloats(depth);
  for (float& value : x) value = 1 + value / 16;
  const std::vector<float> out = Multiply(x, w);
  for (int64_t j = 0; j < columns; ++j) {
    const std::vector<double> row = w.Row(j);
    double exact = 0;
    double squares = 0;
    double magnitudes = 0;
    for (size_t k = 0; k < row.size(); ++k) {
      exact += double{x[k]} * row[k];
      squares += row[k] * row[k];
      magnitudes += std::fabs(row[k]);
    }
    // As in MatVecMatchesDouble, and a few roundings of float32 of the sum's parts.
    ASSERT_NEAR(out[static_cast<size_t>(j)], exact,
                6 * 0x1.0p-16 * std::sqrt(squares) + 0x1.0p-22 * magnitudes)
        << j;
  }
}

// The second row of 70 outputs in several shapes: the same bits.
TEST_P(BlockKernels, MatVecGivesTheSameBitsInAnyCompany) {
  const int64_t depth = 2560;
  const BlockMatrix w = MakeMatrix(type(), 70, depth);
  const std::vector<float> x = RandomFloats(8 * depth);
  const std::vector<float> all = Multiply(x, w);
  for (int64_t rows : {1, 2, 3, 5}) {
    const std::vector<float> some(x.begin() + depth, x.begin() + (1 + rows) * depth);
    const std::vector<float> out = Multiply(some, w);
    for (size_t j = 0; j < 70; ++j) ASSERT_EQ(out[j], all[70 + j]) << rows << " rows, " << j;
  }
  BlockMatrix few = w;
  few.num_rows = 5;
  few.bytes.erase(few.bytes.begin(), few.bytes.begin() + 60 * few.row_bytes());
  few.bytes.resize(static_cast<size_t>(5 * few.row_bytes()));
  const std::vector<float> out = Multiply(x, few);
  for (size_t j = 0; j < 5; ++j) ASSERT_EQ(out[5 + j], all[70 + 60 + j]) << j;
}

// All inputs of the largest magnitude with integers of the largest, where sums would overflow.
TEST_P(BlockKernels, LargestSumsFit) {
  const int64_t depth = 4096;
  for (const unsigned char byte : {0x00, 0x7f, 0x80, 0xff}) {
    BlockMatrix w{.type = type(), .num_rows = 1, .depth = depth};
    w.bytes.assign(static_cast<size_t>(w.row_bytes()), byte);
    const auto block_bytes = static_cast<size_t>(BlockOf(type()).num_bytes);
    for (size_t block = 0; block < w.bytes.size(); block += block_bytes) {
      for (const int half : BlockHalves(type())) {
        w.bytes[block + static_cast<size_t>(half)] = 0;
        w.bytes[block + static_cast<size_t>(half) + 1] = 0x3c;  // 1
      }
    }
    double exact = 0;
    double magnitudes = 0;
    for (const double value : w.Row(0)) {
      exact -= value;
      magnitudes += std::fabs(value);
    }
    const std::vector<float> x(static_cast<size_t>(depth), -1.0f);
    // Overflow would be off by the sum's size; a lane's 128 additions round 2^-24 each.
    EXPECT_NEAR(Multiply(x, w)[0], exact, 0x1.0p-17 * magnitudes + 1e-12) << int{byte};
  }
}

TEST_P(BlockKernels, BrokenInputsBreakProducts) {
  const int64_t depth = 512;
  const BlockMatrix w = MakeMatrix(type(), 3, depth);
  for (const float broken : {NAN, std::numeric_limits<float>::infinity()}) {
    std::vector<float> x = RandomFloats(depth);
    x[400] = broken;
    for (const float value : Multiply(x, w)) EXPECT_TRUE(std::isnan(value));
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, BlockKernels, testing::ValuesIn(Params()),
                         [](const testing::TestParamInfo<Param>& info) {
                           return std::string(CpuLevelName(info.param.level)) + "_" +
                                  std::string(StoredTypeName(info.param.type));
                         });

}  // namespace
}  // namespace fastkv::cpu
