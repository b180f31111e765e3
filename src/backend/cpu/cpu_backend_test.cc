// Promises of the CPU back end beyond the meaning of the operations (tests/ops): the same bits on
// any number of threads, in any batch and in any cut of a prompt, and failure by value.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/ceilings.h"
#include "backend/cpu/context.h"
#include "base/float16.h"
#include "base/random.h"

namespace fastkv {
namespace {

std::unique_ptr<Backend> MakeBackend(int num_threads, ComputeType type) {
  auto backend = CreateCpuBackend({.num_threads = num_threads, .compute_type = type});
  EXPECT_TRUE(backend.ok());
  return std::move(backend).value();
}

// A host tensor of random numbers in [-1, 1), or of zeros.
class HostTensor {
 public:
  HostTensor(DType dtype, std::initializer_list<int64_t> dims, uint64_t seed) {
    const TensorView shape(nullptr, dtype, dims);
    bytes_.resize(static_cast<size_t>(shape.num_elements() * DTypeBytes(dtype)));
    view_ = TensorView(bytes_.data(), dtype, dims);
    if (seed == 0) return;
    Random random(seed);
    for (int64_t i = 0; i < shape.num_elements(); ++i) {
      const auto value = static_cast<float>(2 * random.NextDouble() - 1);
      if (dtype == DType::kF32) {
        view_.As<float>()[i] = value;
      } else {
        view_.As<BFloat16>()[i] = ToBFloat16(value);
      }
    }
  }
  const TensorView& view() const { return view_; }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
  TensorView view_;
};

class CpuBackendTest : public testing::TestWithParam<ComputeType> {
 protected:
  DType type() const { return GetParam() == ComputeType::kBF16 ? DType::kBF16 : DType::kF32; }

  // A back end of one thread count, with weights as they are and of 8 bits.
  std::unique_ptr<Backend> MakeBackendOf(int num_threads, WeightType weight_type) const {
    return CreateCpuBackend(
               {.num_threads = num_threads, .compute_type = GetParam(), .weight_type = weight_type})
        .value();
  }

  std::vector<char> Multiply(Backend& backend, const ConstTensorView& x, const HostTensor& w) {
    const WeightView part = ToWeightView(w.view());
    const auto weight = backend.PackWeight({&part, 1});
    EXPECT_TRUE(weight.ok());
    HostTensor out(DType::kF32, {x.dim(0), part.num_rows}, 0);
    backend.MatMul({.x = x, .weight = weight->get(), .out = out.view()});
    return out.bytes();
  }
};

TEST_P(CpuBackendTest, ProductsDoNotDependOnThreads) {
  const HostTensor x(type(), {133, 300}, 1);
  const HostTensor w(DType::kBF16, {333, 300}, 2);
  for (WeightType weight_type : {WeightType::kAuto, WeightType::kInt8}) {
    for (int64_t rows : {1, 5, 133}) {
      const ConstTensorView some = x.view().Rows(0, rows);
      const auto one = Multiply(*MakeBackendOf(1, weight_type), some, w);
      for (int num_threads : {2, 3, 4}) {
        EXPECT_EQ(one, Multiply(*MakeBackendOf(num_threads, weight_type), some, w))
            << num_threads << " threads, " << rows << " rows";
      }
    }
  }
}

// Products of up to 8 rows and longer ones each have their own order of addition.
TEST_P(CpuBackendTest, ARowOfAProductDoesNotDependOnTheOthers) {
  const HostTensor x(type(), {133, 1300}, 1);
  const HostTensor w(DType::kBF16, {333, 1300}, 2);
  for (WeightType weight_type : {WeightType::kAuto, WeightType::kInt8}) {
    const auto backend = MakeBackendOf(2, weight_type);
    const size_t row_bytes = 333 * sizeof(float);
    const auto expect_part = [&](int64_t all_rows, int64_t begin, int64_t end) {
      const std::vector<char> all = Multiply(*backend, x.view().Rows(0, all_rows), w);
      const std::vector<char> some = Multiply(*backend, x.view().Rows(begin, end), w);
      EXPECT_EQ(0, std::memcmp(some.data(), all.data() + static_cast<size_t>(begin) * row_bytes,
                               some.size()))
          << "rows " << begin << " to " << end << " of " << all_rows;
    };
    expect_part(133, 20, 29);
    expect_part(133, 40, 133);
    expect_part(8, 0, 1);
    expect_part(8, 3, 6);
    expect_part(7, 2, 7);
  }
}

TEST_P(CpuBackendTest, PrefillAttentionDependsOnNeitherThreadsNorBlocks) {
  constexpr int64_t kLen = 700, kHeads = 6, kKvHeads = 2, kHeadDim = 64;
  const HostTensor q(type(), {kLen, kHeads, kHeadDim}, 1);
  const HostTensor keys(type(), {kKvHeads, kLen, kHeadDim}, 2);
  const HostTensor values(type(), {kKvHeads, kLen, kHeadDim}, 3);
  std::vector<int32_t> positions(kLen);
  for (int32_t i = 0; i < kLen; ++i) positions[static_cast<size_t>(i)] = 3 * i;
  for (int64_t window : {0, 600}) {
    const auto run = [&](int num_threads, int64_t block) {
      const auto backend = MakeBackend(num_threads, GetParam());
      HostTensor out(type(), {kLen, kHeads * kHeadDim}, 0);
      for (int64_t begin = 0; begin < kLen; begin += block) {
        const int64_t end = std::min(begin + block, kLen);
        backend->PrefillAttention({.q = q.view().Rows(begin, end),
                                   .keys = keys.view(),
                                   .values = values.view(),
                                   .q_start = begin,
                                   .scale = 0.125f,
                                   .window = window,
                                   .positions = positions.data(),
                                   .out = out.view().Rows(begin, end)});
      }
      return out.bytes();
    };
    const auto whole = run(1, kLen);
    for (int num_threads : {2, 3, 4}) EXPECT_EQ(whole, run(num_threads, kLen)) << num_threads;
    for (int64_t block : {1, 100, 257}) EXPECT_EQ(whole, run(2, block)) << block;
  }
}

TEST_P(CpuBackendTest, CachedAttentionDependsOnNeitherThreadsNorBatch) {
  constexpr int64_t kLen = 3000, kHeads = 8, kKvHeads = 2, kHeadDim = 32;
  const HostTensor q(type(), {2, kHeads, kHeadDim}, 1);
  const HostTensor keys(type(), {kKvHeads, kLen, kHeadDim}, 2);
  const HostTensor values(type(), {kKvHeads, kLen, kHeadDim}, 3);
  const KvLayerView layer{.tail_keys = keys.view(), .tail_values = values.view()};
  const KvLayerView layers[] = {
      layer,
      {.tail_keys = keys.view().Slice(1, 0, 77), .tail_values = values.view().Slice(1, 0, 77)}};
  const auto run = [&](int num_threads, int64_t num_sequences) {
    const auto backend = MakeBackend(num_threads, GetParam());
    HostTensor out(type(), {num_sequences, kHeads * kHeadDim}, 0);
    backend->CachedAttention({.q = q.view().Rows(0, num_sequences),
                              .sequences = {layers, static_cast<size_t>(num_sequences)},
                              .scale = 0.2f,
                              .out = out.view()});
    return out.bytes();
  };
  const auto both = run(1, 2);
  for (int num_threads : {2, 3, 4}) EXPECT_EQ(both, run(num_threads, 2)) << num_threads;
  const auto alone = run(2, 1);
  EXPECT_EQ(0, std::memcmp(both.data(), alone.data(), alone.size()));
}

INSTANTIATE_TEST_SUITE_P(Types, CpuBackendTest,
                         testing::Values(ComputeType::kF32, ComputeType::kBF16),
                         [](const testing::TestParamInfo<ComputeType>& info) {
                           return info.param == ComputeType::kBF16 ? "bf16" : "f32";
                         });

// Fails its n-th allocation and all after it.
class FailingAllocator final : public Allocator {
 public:
  explicit FailingAllocator(int successes) : successes_(successes) {}
  void* Allocate(size_t num_bytes) override {
    return successes_-- > 0 ? SystemAllocator().Allocate(num_bytes) : nullptr;
  }
  void Free(void* data, size_t num_bytes) override { SystemAllocator().Free(data, num_bytes); }

 private:
  int successes_;
};

TEST(CpuBackend, ReportsEveryFailedAllocation) {
  const HostTensor w(DType::kBF16, {8, 16}, 1);
  const WeightView part = ToWeightView(w.view());
  int successes = 0;
  for (;; ++successes) {
    ASSERT_LT(successes, 20);
    FailingAllocator allocator(successes);
    const auto backend = CreateCpuBackend({.num_threads = 2, .allocator = &allocator});
    if (!backend.ok()) {
      EXPECT_EQ(backend.status().code(), StatusCode::kMemory);
      continue;
    }
    const auto weight = (*backend)->PackWeight({&part, 1});
    if (weight.ok()) break;
    EXPECT_EQ(weight.status().code(), StatusCode::kMemory);
  }
  EXPECT_GE(successes, 2);
}

// More entries than the scratch memory holds exponents, even of one query head.
TEST(CpuBackend, ExpectedAttentionOfManyEntries) {
  constexpr int64_t kEntries = cpu::Context::kSharedScratchFloats + 5;
  constexpr int64_t kSinks = 2;
  const auto backend =
      CreateCpuBackend({.num_threads = 2, .compute_type = ComputeType::kF32, .allocator = nullptr})
          .value();
  std::vector<float> keys(kEntries);
  for (int64_t j = 0; j < kEntries; ++j) keys[j] = static_cast<float>(j % 97) / 97;
  const std::vector<float> values(kEntries, -3.0f);
  const std::vector<float> mean = {1, 2};
  const std::vector<float> covariance = {3, 4};
  std::vector<float> out(kEntries);
  ExpectedAttentionScoresParams params;
  params.keys = {keys.data(), DType::kF32, {1, kEntries, 1}};
  params.values = {values.data(), DType::kF32, {1, kEntries, 1}};
  params.mean = {mean.data(), DType::kF32, {2, 1}};
  params.covariance = {covariance.data(), DType::kF32, {2, 1, 1}};
  params.num_sinks = kSinks;
  params.out = {out.data(), DType::kF32, {1, kEntries}};
  backend->ExpectedAttentionScores(params);

  const auto exponential = [&](int64_t h, int64_t j) {
    return std::exp(double{keys[j]} * mean[h] + double{keys[j]} * keys[j] * covariance[h] / 2);
  };
  double sums[2] = {};
  for (int64_t j = kSinks; j < kEntries; ++j) {
    for (int64_t h = 0; h < 2; ++h) sums[h] += exponential(h, j);
  }
  EXPECT_EQ(out[0], std::numeric_limits<float>::max());
  EXPECT_EQ(out[1], std::numeric_limits<float>::max());
  for (int64_t j = kSinks; j < kEntries; ++j) {
    const double p = (exponential(0, j) / sums[0] + exponential(1, j) / sums[1]) / 2;
    ASSERT_NEAR(out[j], 3 * p, 2e-5 * p) << j;
  }
}

TEST(CpuBackend, KeepsWeightsWhereTheyAre) {
  const auto backend = MakeBackend(1, ComputeType::kF32);
  const HostTensor first(DType::kBF16, {64, 1024}, 1);
  const HostTensor second(DType::kF32, {32, 1024}, 2);
  const WeightView parts[] = {ToWeightView(first.view()), ToWeightView(second.view())};
  ASSERT_TRUE(backend->PackWeight(parts).ok());
  const int64_t held_bytes = backend->allocator().held_bytes();
  const auto weight = backend->PackWeight(parts);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ((*weight)->out_features(), 96);
  EXPECT_EQ((*weight)->num_bytes(), 64 * 1024 * 2 + 32 * 1024 * 4);
  EXPECT_EQ(backend->allocator().held_bytes(), held_bytes);
}

TEST(CpuBackend, PacksWeightsOf8BitsOnce) {
  auto backend = CreateCpuBackend({.num_threads = 2, .weight_type = WeightType::kInt8}).value();
  const HostTensor first(DType::kBF16, {64, 1000}, 1);
  const HostTensor second(DType::kF32, {32, 1000}, 2);
  const WeightView parts[] = {ToWeightView(first.view()), ToWeightView(second.view())};
  ASSERT_TRUE(backend->PackWeight(parts).ok());  // takes scratch memory once
  const int64_t held_bytes = backend->allocator().held_bytes();
  const auto weight = backend->PackWeight(parts);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ((*weight)->out_features(), 96);
  EXPECT_EQ((*weight)->num_bytes(), 96 * (1024 + 4));  // rows are filled up to 64
  EXPECT_EQ(backend->allocator().held_bytes(), held_bytes + (*weight)->num_bytes());
}

TEST(CpuBackend, TablesStayAsTheyAreBesideWeightsOf8Bits) {
  auto backend = CreateCpuBackend({.num_threads = 2, .weight_type = WeightType::kInt8}).value();
  const HostTensor table(DType::kF32, {64, 100}, 1);
  const ConstTensorView view = table.view();
  const WeightView matrix = ToWeightView(view);
  ASSERT_TRUE(backend->PackTable(matrix).ok());
  const int64_t held_bytes = backend->allocator().held_bytes();
  const auto alone = backend->PackTable(matrix);
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(backend->allocator().held_bytes(), held_bytes);
  const auto multiplied = backend->PackWeight({&matrix, 1});  // a table that is also the head
  ASSERT_TRUE(multiplied.ok());
  const int32_t id = 41;
  for (const PackedWeight* weight : {alone->get(), multiplied->get()}) {
    HostTensor out(DType::kF32, {1, 100}, 0);
    backend->EmbedTokens({.table = weight, .ids = &id, .out = out.view()});
    EXPECT_EQ(0, std::memcmp(out.bytes().data(), view.As<float>() + id * 100, out.bytes().size()));
  }
}

TEST(CpuBackend, SaysWhatItIs) {
  const auto backend = MakeBackend(2, ComputeType::kF32);
  EXPECT_EQ(backend->info().name, "cpu");
  EXPECT_EQ(backend->info().num_threads, 2);
  EXPECT_NE(backend->info().description.find(", 2 threads"), std::string::npos);
}

TEST(Ceilings, AreMeasured) {
  const Result<double> read = MeasureReadBytesPerSecond(2, 1);
  ASSERT_TRUE(read.ok());
  EXPECT_GT(*read, 1e6);
  const Result<double> multiply = MeasureMatrixFlopsPerSecond(DType::kF32, 2, 1);
  if (!multiply.ok()) {
    EXPECT_EQ(multiply.status().code(), StatusCode::kUnsupported);
    return;
  }
  EXPECT_GT(*multiply, 1e6);
}

}  // namespace
}  // namespace fastkv
