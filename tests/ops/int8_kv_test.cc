// Attention over entries in integers against attention over the numbers that they were rounded
// from.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/random.h"

namespace fastkv::op_cases {
namespace {

constexpr int64_t kNumEntries = 700;
constexpr int64_t kHeadDim = 64;
constexpr int64_t kNumQHeads = 4;

std::vector<float> Gaussian(Random& random, int64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = random.NextGaussian();
  return values;
}

// One KV head's entries as they are computed, and the same in integers.
struct Entries {
  std::vector<float> keys, values;
  std::vector<int8_t> int8_keys, int8_values;
  std::vector<float> key_scales, value_scales;
  std::vector<int32_t> positions;

  explicit Entries(Random& random)
      : keys(Gaussian(random, kNumEntries * kHeadDim)),
        values(Gaussian(random, kNumEntries * kHeadDim)),
        int8_keys(keys.size()),
        int8_values(keys.size()),
        key_scales(kNumEntries),
        value_scales(kNumEntries),
        positions(kNumEntries) {}

  void Round(Backend& backend) {
    std::vector<int32_t> out_positions(kNumEntries);
    backend.GatherKv(
        {.keys = ConstTensorView(keys.data(), DType::kF32, {1, kNumEntries, kHeadDim}),
         .values = ConstTensorView(values.data(), DType::kF32, {1, kNumEntries, kHeadDim}),
         .positions = positions.data(),
         .out_keys = TensorView(int8_keys.data(), DType::kI8, {1, kNumEntries, kHeadDim}),
         .out_values = TensorView(int8_values.data(), DType::kI8, {1, kNumEntries, kHeadDim}),
         .out_key_scales = TensorView(key_scales.data(), DType::kF32, {1, kNumEntries}),
         .out_value_scales = TensorView(value_scales.data(), DType::kF32, {1, kNumEntries}),
         .out_positions = TensorView(out_positions.data(), DType::kI32, {1, kNumEntries})});
  }

  KvLayerView Computed(const std::vector<int64_t>& head_begin) const {
    return {.frozen_keys = ConstTensorView(keys.data(), DType::kF32, {kNumEntries, kHeadDim}),
            .frozen_values = ConstTensorView(values.data(), DType::kF32, {kNumEntries, kHeadDim}),
            .head_begin = head_begin};
  }
  KvLayerView Rounded(const std::vector<int64_t>& head_begin) const {
    return {
        .frozen_keys = ConstTensorView(int8_keys.data(), DType::kI8, {kNumEntries, kHeadDim}),
        .frozen_values = ConstTensorView(int8_values.data(), DType::kI8, {kNumEntries, kHeadDim}),
        .frozen_key_scales = key_scales.data(),
        .frozen_value_scales = value_scales.data(),
        .head_begin = head_begin};
  }
};

std::vector<float> Attend(Backend& backend, const KvLayerView& layer,
                          const std::vector<float>& queries) {
  std::vector<float> out(queries.size());
  const std::vector<KvLayerView> sequences = {layer};
  backend.CachedAttention(
      {.q = ConstTensorView(queries.data(), DType::kF32, {1, kNumQHeads, kHeadDim}),
       .sequences = sequences,
       .scale = 1 / std::sqrt(static_cast<float>(kHeadDim)),
       .out = TensorView(out.data(), DType::kF32, {1, kNumQHeads * kHeadDim})});
  return out;
}

double Length(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return std::sqrt(sum);
}

class Int8Kv : public testing::TestWithParam<std::string> {
 protected:
  Int8Kv()
      : backend_(
            GetParam() == "reference"
                ? CreateReferenceBackend({})
                : CreateCpuBackend({.num_threads = 2, .compute_type = ComputeType::kF32}).value()) {
  }

  std::unique_ptr<Backend> backend_;
};

// An element is off by at most half of the largest of 64 divided by 127, about 1 % of the
// deviation, and a score, whose deviation is 1, likewise.
TEST_P(Int8Kv, AttendsNearlyAsTheNumbersThemselves) {
  Random random(11);
  Entries entries(random);
  entries.Round(*backend_);
  const std::vector<float> queries = Gaussian(random, kNumQHeads * kHeadDim);
  const std::vector<int64_t> head_begin = {0, kNumEntries};
  const std::vector<float> expected = Attend(*backend_, entries.Computed(head_begin), queries);
  std::vector<float> difference = Attend(*backend_, entries.Rounded(head_begin), queries);
  for (size_t i = 0; i < difference.size(); ++i) difference[i] -= expected[i];
  EXPECT_GT(Length(difference), 1e-4 * Length(expected));
  EXPECT_LT(Length(difference), 0.03 * Length(expected));
}

// A score of NaN has no weight on the CPU, and makes a row of NaN on the reference, whatever the
// type.
TEST_P(Int8Kv, ABrokenEntryIsTakenAsNan) {
  for (const float broken : {NAN, INFINITY, -INFINITY}) {
    for (const bool in_key : {true, false}) {
      SCOPED_TRACE(std::to_string(broken) + (in_key ? " in a key" : " in a value"));
      Random random(12);
      Entries entries(random);
      std::vector<float>& elements = in_key ? entries.keys : entries.values;
      elements[300 * kHeadDim + 7] = broken;
      entries.Round(*backend_);
      const std::vector<float>& scales = in_key ? entries.key_scales : entries.value_scales;
      for (int64_t i = 0; i < kNumEntries; ++i) ASSERT_EQ(std::isnan(scales[i]), i == 300) << i;
      const std::vector<float> queries = Gaussian(random, kNumQHeads * kHeadDim);
      const std::vector<int64_t> head_begin = {0, kNumEntries};
      elements[300 * kHeadDim + 7] = NAN;
      const std::vector<float> computed = Attend(*backend_, entries.Computed(head_begin), queries);
      EXPECT_EQ(std::isnan(computed[7]), !in_key || GetParam() == "reference");
      for (const float x : Attend(*backend_, entries.Rounded(head_begin), queries)) {
        ASSERT_EQ(std::isnan(x), std::isnan(computed[7]));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Int8Kv, testing::Values("cpu", "reference"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace fastkv::op_cases
