#include "backend/cpu/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/float16.h"
#include "base/random.h"

namespace fastkv::cpu {
namespace {

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

// A matrix in one of the stored types, and what it means.
struct StoredMatrix {
  DType type = DType::kF32;
  std::vector<float> floats;
  std::vector<uint16_t> halves;
  const void* data() const {
    return type == DType::kF32 ? static_cast<const void*>(floats.data()) : halves.data();
  }
  WeightFormat format() const { return FormatOf(type); }
  int64_t row_bytes(int64_t depth) const { return depth * DTypeBytes(type); }
};

StoredMatrix Store(std::vector<float> values, DType type) {
  StoredMatrix matrix{.type = type};
  for (float& value : values) {
    if (type == DType::kBF16) {
      matrix.halves.push_back(ToBFloat16(value).bits);
      value = ToFloat(BFloat16{matrix.halves.back()});
    } else if (type == DType::kF16) {
      // Multiples of 2^-10 below one are halves as they are.
      value = std::round(value * 1024) / 1024;
      const float magnitude = std::abs(value);
      uint16_t bits = 0;
      if (magnitude > 0) {
        const int exponent = std::ilogb(magnitude);
        const auto mantissa = static_cast<int>(std::ldexp(magnitude, 10 - exponent)) - 1024;
        bits = static_cast<uint16_t>(((exponent + 15) << 10) | mantissa);
      }
      matrix.halves.push_back(static_cast<uint16_t>(bits | (value < 0 ? 0x8000 : 0)));
      value = ToFloat(Float16{matrix.halves.back()});
    }
  }
  matrix.floats = std::move(values);
  return matrix;
}

struct ProductShape {
  int64_t rows, columns, depth;
};

// Through panels, in one go.
std::vector<float> GemmResult(const Kernels& kernels, const ProductShape& shape,
                              const std::vector<float>& x, const StoredMatrix& w) {
  const int64_t num_panels = (shape.columns + kernels.panel_width - 1) / kernels.panel_width;
  const int64_t padded = num_panels * kernels.panel_width;
  std::vector<float> panels(static_cast<size_t>(padded * shape.depth), NAN);
  std::vector<float> c(static_cast<size_t>(shape.rows * padded), NAN);
  kernels.weight(w.format())
      .pack_transposed(w.data(), w.row_bytes(shape.depth), shape.columns, shape.depth,
                       panels.data());
  kernels.gemm({.a = x.data(),
                .a_stride = shape.depth,
                .b_panels = panels.data(),
                .b_panel_stride = kernels.panel_width * shape.depth,
                .num_rows = shape.rows,
                .num_panels = num_panels,
                .depth = shape.depth,
                .c = c.data(),
                .c_stride = padded,
                .accumulate = false});
  std::vector<float> out;
  for (int64_t i = 0; i < shape.rows; ++i) {
    out.insert(out.end(), c.begin() + i * padded, c.begin() + i * padded + shape.columns);
  }
  return out;
}

std::vector<float> MatVecResult(const Kernels& kernels, const ProductShape& shape,
                                const std::vector<float>& x, const StoredMatrix& w) {
  std::vector<float> out(static_cast<size_t>(shape.rows * shape.columns), NAN);
  std::vector<float> prepared(x.size());
  const WeightKernels& weight = kernels.weight(w.format());
  for (int64_t row = 0; row < shape.rows; ++row) {
    weight.prepare_input(x.data() + row * shape.depth, DType::kF32, shape.depth,
                         prepared.data() + row * shape.depth);
  }
  for (int64_t row = 0; row < shape.rows; row += kMatVecRows) {
    weight.mat_vec({.x = prepared.data() + row * shape.depth,
                    .x_stride = shape.depth,
                    .num_rows = std::min(kMatVecRows, shape.rows - row),
                    .w = w.data(),
                    .w_row_bytes = w.row_bytes(shape.depth),
                    .num_outputs = shape.columns,
                    .depth = shape.depth,
                    .out = out.data() + row * shape.columns,
                    .out_stride = shape.columns});
  }
  return out;
}

class EveryLevel : public testing::TestWithParam<CpuLevel> {
 protected:
  const Kernels& kernels() const { return KernelsFor(GetParam()); }
};

TEST_P(EveryLevel, TableIsOfTheLevel) { EXPECT_EQ(kernels().level, GetParam()); }

TEST_P(EveryLevel, ProductsMatchDouble) {
  const ProductShape shapes[] = {{1, 1, 1},    {2, 5, 7},     {3, 33, 64},   {8, 70, 129},
                                 {13, 31, 40}, {25, 64, 300}, {5, 130, 1000}};
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const ProductShape& shape : shapes) {
      const std::vector<float> x = RandomFloats(shape.rows * shape.depth, 1);
      const StoredMatrix w = Store(RandomFloats(shape.columns * shape.depth, 2), type);
      const std::vector<float> gemm = GemmResult(kernels(), shape, x, w);
      const std::vector<float> mat_vec = MatVecResult(kernels(), shape, x, w);
      for (int64_t i = 0; i < shape.rows; ++i) {
        for (int64_t j = 0; j < shape.columns; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < shape.depth; ++k) {
            sum += double{x[i * shape.depth + k]} * w.floats[j * shape.depth + k];
          }
          const size_t at = static_cast<size_t>(i * shape.columns + j);
          ASSERT_NEAR(gemm[at], sum, 2e-6 * std::sqrt(shape.depth) + 1e-7)
              << DTypeName(type) << " " << i << ", " << j << " of depth " << shape.depth;
          ASSERT_NEAR(mat_vec[at], sum, 2e-6 * std::sqrt(shape.depth) + 1e-7)
              << DTypeName(type) << " " << i << ", " << j << " of depth " << shape.depth;
        }
      }
    }
  }
}

TEST_P(EveryLevel, AddsInOneOrderHoweverCut) {
  const ProductShape shape{7, 40, 500};
  const std::vector<float> x = RandomFloats(shape.rows * shape.depth, 3);
  const StoredMatrix w = Store(RandomFloats(shape.columns * shape.depth, 4), DType::kF32);
  const std::vector<float> whole = GemmResult(kernels(), shape, x, w);
  const int64_t num_panels = (shape.columns + kernels().panel_width - 1) / kernels().panel_width;
  const int64_t padded = num_panels * kernels().panel_width;
  std::vector<float> c(static_cast<size_t>(padded), NAN);
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t k = 0; k < shape.depth; k += 77) {
      const int64_t step = std::min<int64_t>(77, shape.depth - k);
      std::vector<float> panels(static_cast<size_t>(padded * step));
      kernels().pack_transposed(w.floats.data() + k, DType::kF32, shape.depth, shape.columns, step,
                                panels.data());
      kernels().gemm({.a = x.data() + row * shape.depth + k,
                      .a_stride = shape.depth,
                      .b_panels = panels.data(),
                      .b_panel_stride = kernels().panel_width * step,
                      .num_rows = 1,
                      .num_panels = num_panels,
                      .depth = step,
                      .c = c.data(),
                      .c_stride = padded,
                      .accumulate = k > 0});
    }
    for (int64_t j = 0; j < shape.columns; ++j) ASSERT_EQ(c[j], whole[row * shape.columns + j]);
  }
}

TEST_P(EveryLevel, PairProductsMatchDouble) {
  if (kernels().gemm_pairs == nullptr) GTEST_SKIP() << "the level multiplies no bf16";
  const ProductShape shapes[] = {{1, 1, 1}, {13, 33, 64}, {32, 70, 129}, {97, 64, 256}};
  for (const ProductShape& shape : shapes) {
    const StoredMatrix x = Store(RandomFloats(shape.rows * shape.depth, 1), DType::kBF16);
    const StoredMatrix w = Store(RandomFloats(shape.columns * shape.depth, 2), DType::kBF16);
    const int64_t depth = (shape.depth + kPairDepth - 1) / kPairDepth * kPairDepth;
    const int64_t rows = (shape.rows + kPairRows - 1) / kPairRows * kPairRows;
    const int64_t num_panels = (shape.columns + kernels().panel_width - 1) / kernels().panel_width;
    const int64_t columns = num_panels * kernels().panel_width;
    std::vector<uint16_t> a(static_cast<size_t>(rows * depth), 0x7fc0);  // NaN beyond the rows
    for (int64_t i = 0; i < shape.rows; ++i) {
      for (int64_t k = 0; k < depth; ++k) {
        a[static_cast<size_t>(i * depth + k)] =
            k < shape.depth ? x.halves[static_cast<size_t>(i * shape.depth + k)] : 0;
      }
    }
    std::vector<uint32_t> panels(static_cast<size_t>(columns * depth / 2), 0x7fc07fc0);
    kernels()
        .weight(WeightFormat::kBF16)
        .pack_pairs(w.data(), w.row_bytes(shape.depth), shape.columns, shape.depth, panels.data());
    std::vector<float> c(static_cast<size_t>(rows * columns), NAN);
    GemmPairsArgs args{.a = a.data(),
                       .a_stride = depth,
                       .b_panels = panels.data(),
                       .b_panel_stride = kernels().panel_width * depth / 2,
                       .num_rows = shape.rows,
                       .num_panels = num_panels,
                       .depth = depth,
                       .c = c.data(),
                       .c_stride = columns,
                       .accumulate = false};
    kernels().gemm_pairs(args);
    args.accumulate = true;  // twice the product
    kernels().gemm_pairs(args);
    for (int64_t i = 0; i < shape.rows; ++i) {
      for (int64_t j = 0; j < shape.columns; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < shape.depth; ++k) {
          sum += double{x.floats[static_cast<size_t>(i * shape.depth + k)]} *
                 w.floats[static_cast<size_t>(j * shape.depth + k)];
        }
        ASSERT_NEAR(c[static_cast<size_t>(i * columns + j)], 2 * sum, 1e-4)
            << i << ", " << j << " of depth " << shape.depth;
      }
    }
  }
}

TEST_P(EveryLevel, MatVecGivesARowTheSameBitsInAnyCompany) {
  const ProductShape all{8, 70, 333};
  const std::vector<float> x = RandomFloats(all.rows * all.depth, 3);
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    const StoredMatrix w = Store(RandomFloats(all.columns * all.depth, 4), type);
    const std::vector<float> together = MatVecResult(kernels(), all, x, w);
    for (int64_t rows = 1; rows < all.rows; ++rows) {
      const ProductShape some{rows, all.columns, all.depth};
      const std::vector<float> result = MatVecResult(kernels(), some, x, w);
      ASSERT_TRUE(std::equal(result.begin(), result.end(), together.begin()))
          << rows << " rows of " << DTypeName(type);
    }
  }
}

TEST_P(EveryLevel, PanelsHoldRowsAndZeros) {
  const int64_t depth = 9;
  const int64_t columns = kernels().panel_width + 3;
  const std::vector<float> b = RandomFloats(depth * columns, 5);
  std::vector<float> panels(static_cast<size_t>(2 * kernels().panel_width * depth), NAN);
  kernels().pack_panels(b.data(), DType::kF32, columns, columns, depth, panels.data());
  for (int64_t j = 0; j < 2 * kernels().panel_width; ++j) {
    for (int64_t k = 0; k < depth; ++k) {
      const float packed = panels[static_cast<size_t>((j / kernels().panel_width * depth + k) *
                                                          kernels().panel_width +
                                                      j % kernels().panel_width)];
      ASSERT_EQ(packed, j < columns ? b[static_cast<size_t>(k * columns + j)] : 0.0f);
    }
  }
}

// In units in the last place of the exact result.
TEST_P(EveryLevel, ExponentialIsWithinTwoUnits) {
  std::vector<float> xs;
  for (float x = 0; x > -87.3f; x -= 0.00037f) xs.push_back(x);
  std::vector<float> sums(xs.size(), 0.0f);
  kernels().add_exponentials(xs.data(), static_cast<int64_t>(xs.size()), 1, 0, 1, sums.data());
  double worst = 0;
  for (size_t i = 0; i < xs.size(); ++i) {
    const double exact = std::exp(double{xs[i]});
    const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
    worst = std::max(worst, std::abs(sums[i] - exact) / unit);
  }
  EXPECT_LT(worst, kernels().level == CpuLevel::kGeneric ? 2.5 : 2.0);
}

// Rounding may put a score a little above the normaliser it is measured against.
TEST_P(EveryLevel, ExponentialHoldsALittleAboveZero) {
  for (float x = 0; x < 1; x += 0.01f) {
    float sum = 0;
    kernels().add_exponentials(&x, 1, 1, 0, 1, &sum);
    EXPECT_NEAR(sum, std::exp(double{x}), 5e-7);
  }
}

TEST_P(EveryLevel, ExponentialVanishesFarBelowZero) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> xs = {-88, -100, -1e30f, -infinity, 0};
  std::vector<float> sums(xs.size(), 0.0f);
  kernels().add_exponentials(xs.data(), static_cast<int64_t>(xs.size()), 1, 0, 1, sums.data());
  EXPECT_EQ(sums, (std::vector<float>{0, 0, 0, 0, 1}));
}

TEST_P(EveryLevel, SoftmaxStepsEqualOneSoftmax) {
  const int64_t num_columns = 2 * kernels().panel_width;
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> first = RandomFloats(num_columns, 6);
  std::vector<float> second = RandomFloats(num_columns, 7);
  const int64_t begin = 3;
  const int64_t end = num_columns - 2;
  second[0] = second[static_cast<size_t>(num_columns - 1)] = NAN;  // outside: never looked at
  double sum = 0;
  for (float s : first) sum += std::exp(0.5 * s);
  for (int64_t j = begin; j < end; ++j) sum += std::exp(0.5 * second[static_cast<size_t>(j)]);

  float running_max = -infinity;
  float running_sum = 0;
  SoftmaxArgs args{.scores = first.data(),
                   .num_columns = num_columns,
                   .begin = 0,
                   .end = num_columns,
                   .scale = 0.5f,
                   .max = &running_max,
                   .sum = &running_sum};
  kernels().softmax_step(args);
  args.scores = second.data();
  args.begin = begin;
  args.end = end;
  const float old_max = running_max;
  const float rescale = kernels().softmax_step(args);
  EXPECT_NEAR(rescale, std::exp(old_max - running_max), 1e-6);
  EXPECT_NEAR(running_max + std::log(running_sum), std::log(sum), 1e-5);
  EXPECT_EQ(second[0], 0.0f);
  EXPECT_EQ(second[static_cast<size_t>(num_columns - 1)], 0.0f);

  args.end = args.begin;  // nothing to see
  EXPECT_EQ(kernels().softmax_step(args), 1.0f);
  EXPECT_EQ(second, std::vector<float>(second.size(), 0.0f));
}

TEST_P(EveryLevel, QuadraticFormsMatchDouble) {
  for (const int64_t depth : {1, 7, 80}) {
    const int64_t num_columns = 2 * kernels().panel_width + 3;
    const int64_t padded = 3 * kernels().panel_width;
    const std::vector<float> x = RandomFloats(num_columns * depth, 10);  // [num_columns, depth]
    const std::vector<float> mx = RandomFloats(depth * padded, 11);
    const std::vector<float> linear = RandomFloats(depth, 12);
    std::vector<float> panels(static_cast<size_t>(padded * depth));
    kernels().pack_transposed(x.data(), DType::kF32, depth, num_columns, depth, panels.data());
    std::vector<float> out(static_cast<size_t>(padded), NAN);
    kernels().quadratic_forms({.x_panels = panels.data(),
                               .mx = mx.data(),
                               .mx_stride = padded,
                               .linear = linear.data(),
                               .linear_factor = 3,
                               .quadratic_factor = -0.7f,
                               .depth = depth,
                               .num_panels = 3,
                               .out = out.data()});
    for (int64_t j = 0; j < num_columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += x[j * depth + k] * (3.0 * linear[k] - double{0.7f} * mx[k * padded + j]);
      }
      ASSERT_NEAR(out[j], sum, 1e-5) << "column " << j << " of depth " << depth;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryLevel, testing::ValuesIn(LevelsHere()),
                         [](const testing::TestParamInfo<CpuLevel>& info) {
                           return std::string(CpuLevelName(info.param));
                         });

TEST(Kernels, LevelsWithFusedMultiplyAddAgree) {
  if (DetectCpuLevel() < CpuLevel::kAvx512) GTEST_SKIP() << "needs AVX-512";
  const ProductShape shape{13, 50, 400};
  const std::vector<float> x = RandomFloats(shape.rows * shape.depth, 8);
  const StoredMatrix w = Store(RandomFloats(shape.columns * shape.depth, 9), DType::kBF16);
  EXPECT_EQ(GemmResult(KernelsFor(CpuLevel::kAvx2), shape, x, w),
            GemmResult(KernelsFor(CpuLevel::kAvx512), shape, x, w));
}

}  // namespace
}  // namespace fastkv::cpu
