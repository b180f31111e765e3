// Values worked out by hand: the reference is what everything else is compared with.
#include "backend/reference/reference_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/float16.h"

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Dims = std::initializer_list<int64_t>;

ConstTensorView In(const std::vector<float>& values, Dims dims) {
  return {values.data(), DType::kF32, dims};
}
TensorView Out(std::vector<float>& values, Dims dims) { return {values.data(), DType::kF32, dims}; }

class ReferenceBackendTest : public testing::Test {
 protected:
  std::unique_ptr<PackedWeight> Pack(const std::vector<float>& values, Dims dims) {
    const WeightView part = ToWeightView(In(values, dims));
    return backend_->PackWeight({&part, 1}).value();
  }

  std::unique_ptr<Backend> backend_ = CreateReferenceBackend({});
};

TEST_F(ReferenceBackendTest, EmbedTokens) {
  const auto table = Pack({1, 2, 3, 4, 5, 6}, {3, 2});
  const std::vector<int32_t> ids = {2, 0};
  std::vector<float> out(4);
  backend_->EmbedTokens({.table = table.get(), .ids = ids.data(), .out = Out(out, {2, 2})});
  EXPECT_THAT(out, ElementsAre(5, 6, 1, 2));
}

TEST_F(ReferenceBackendTest, RmsNorm) {
  const std::vector<float> x = {3, 4, 0, 0};
  const std::vector<float> weight = {1, 2};
  std::vector<float> out(4);
  backend_->RmsNorm(
      {.x = In(x, {2, 2}), .weight = In(weight, {2}), .epsilon = 12.5f, .out = Out(out, {2, 2})});
  EXPECT_THAT(out, ElementsAre(FloatEq(0.6f), FloatEq(1.6f), 0, 0));
}

TEST_F(ReferenceBackendTest, MatMulAddsBiasAndWhatIsThere) {
  const auto weight = Pack({1, 2, 3, 4, 5, 6}, {3, 2});
  const std::vector<float> x = {1, 10};
  const std::vector<float> bias = {100, 200, 300};
  std::vector<float> out = {1000, 2000, 3000};
  MatMulParams params;
  params.x = In(x, {1, 2});
  params.weight = weight.get();
  params.bias = In(bias, {3});
  params.out = Out(out, {1, 3});
  params.accumulate = true;
  backend_->MatMul(params);
  EXPECT_THAT(out, ElementsAre(1121, 2243, 3365));
}

TEST_F(ReferenceBackendTest, PackWeightStacksPartsOfAnyType) {
  const std::vector<float> f32 = {1.1f, 2};
  const std::vector<BFloat16> bf16 = {ToBFloat16(3), ToBFloat16(4)};
  const std::vector<Float16> f16 = {{0x3c00}, {0xc000}};  // 1, -2
  const std::vector<WeightView> parts = {PackedRows(f32.data(), StoredType::kF32, 1, 2),
                                         PackedRows(bf16.data(), StoredType::kBF16, 1, 2),
                                         PackedRows(f16.data(), StoredType::kF16, 1, 2)};
  const auto weight = backend_->PackWeight(parts).value();
  EXPECT_EQ(weight->out_features(), 3);
  EXPECT_EQ(weight->in_features(), 2);
  EXPECT_EQ(weight->num_bytes(), 48);  // doubles
  const std::vector<float> x = {1, 1};
  std::vector<float> out(3);
  backend_->MatMul(
      {.x = In(x, {1, 2}), .weight = weight.get(), .bias = {}, .out = Out(out, {1, 3})});
  EXPECT_THAT(out, ElementsAre(FloatEq(3.1f), 7, -1));
}

TEST_F(ReferenceBackendTest, RopeTable) {
  const std::vector<int32_t> positions = {0, 2};
  const std::vector<float> frequencies = {1, 0.5f};
  std::vector<float> out(8);
  backend_->RopeTable({.positions = positions.data(),
                       .inverse_frequencies = In(frequencies, {2}),
                       .attention_factor = 2,
                       .cos_sin = Out(out, {2, 4})});
  EXPECT_THAT(out, ElementsAre(2, 2, 0, 0, FloatEq(2 * std::cos(2.f)), FloatEq(2 * std::cos(1.f)),
                               FloatEq(2 * std::sin(2.f)), FloatEq(2 * std::sin(1.f))));
}

TEST_F(ReferenceBackendTest, StoreQkvNormalizesRotatesAndSplits) {
  // One token, one q head and one KV head of two components, turned by a quarter.
  const std::vector<float> qkv = {1, 2, 3, 4, 5, 6};
  const std::vector<float> cos_sin = {0, 1};
  const std::vector<float> k_norm_weight = {5, 10};
  std::vector<float> q(2);
  std::vector<float> keys(2);
  std::vector<float> values(2);
  StoreQkvParams params;
  params.qkv = In(qkv, {1, 6});
  params.k_norm_weight = In(k_norm_weight, {2});
  params.norm_epsilon = 12.5f;
  params.cos_sin = In(cos_sin, {1, 2});
  params.q = Out(q, {1, 1, 2});
  params.keys = Out(keys, {1, 1, 2});
  params.values = Out(values, {1, 1, 2});
  backend_->StoreQkv(params);
  EXPECT_THAT(q, ElementsAre(-2, 1));
  EXPECT_THAT(keys, ElementsAre(FloatEq(-8), FloatEq(3)));
  EXPECT_THAT(values, ElementsAre(5, 6));
}

TEST_F(ReferenceBackendTest, PrefillAttentionIsCausal) {
  // Equal scores: every row averages the values it sees.
  const std::vector<float> q = {0, 0};
  const std::vector<float> keys = {1, 2, 3, 4};
  const std::vector<float> values = {1, 3, 8, 100};
  std::vector<float> out(2);
  std::vector<float> log_sum_exp(2);
  PrefillAttentionParams params;
  params.q = In(q, {2, 1, 1});
  params.keys = In(keys, {1, 4, 1});
  params.values = In(values, {1, 4, 1});
  params.q_start = 1;
  params.out = Out(out, {2, 1});
  params.log_sum_exp = Out(log_sum_exp, {2, 1});
  backend_->PrefillAttention(params);
  EXPECT_THAT(out, ElementsAre(2, 4));
  EXPECT_THAT(log_sum_exp, ElementsAre(FloatEq(std::log(2.f)), FloatEq(std::log(3.f))));

  // Row 1 stands at position 20; a window of 11 reaches back to position 10, not to 9.
  const std::vector<int32_t> positions = {9, 10, 20, 30};
  params.window = 11;
  params.positions = positions.data();
  backend_->PrefillAttention(params);
  EXPECT_THAT(out, ElementsAre(2, 5.5f));
}

TEST_F(ReferenceBackendTest, PrefillAttentionScalesScores) {
  const std::vector<float> q = {2};
  const std::vector<float> keys = {0, std::log(3.f)};
  const std::vector<float> values = {4, 8};
  std::vector<float> out(1);
  PrefillAttentionParams params;
  params.q = In(q, {1, 1, 1});
  params.keys = In(keys, {1, 2, 1});
  params.values = In(values, {1, 2, 1});
  params.q_start = 1;
  params.scale = 0.5f;
  params.out = Out(out, {1, 1});
  backend_->PrefillAttention(params);
  EXPECT_THAT(out, ElementsAre(FloatEq(7)));  // probabilities 1/4 and 3/4
}

TEST_F(ReferenceBackendTest, CachedAttentionSeesFrozenEntriesAndItsPartOfTheTail) {
  // Two KV heads with 2 and 0 frozen entries, a tail of 3, two rows; all scores are equal.
  const std::vector<float> q = {0, 0, 0, 0};
  const std::vector<float> frozen_keys = {1, 2};
  const std::vector<float> frozen_values = {10, 20};
  const std::vector<int32_t> frozen_positions = {3, 5};
  const std::vector<int64_t> head_begin = {0, 2, 2};
  const std::vector<float> tail_keys(6, 1);
  const std::vector<float> tail_values = {30, 40, 50, 1, 3, 8};
  const std::vector<int32_t> tail_positions = {8, 9, 10};
  KvLayerView layer;
  layer.frozen_keys = In(frozen_keys, {2, 1});
  layer.frozen_values = In(frozen_values, {2, 1});
  layer.head_begin = head_begin;
  layer.frozen_positions = frozen_positions.data();
  layer.tail_keys = In(tail_keys, {2, 3, 1});
  layer.tail_values = In(tail_values, {2, 3, 1});
  layer.tail_positions = tail_positions.data();
  std::vector<float> out(4);
  CachedAttentionParams params;
  params.q = In(q, {2, 2, 1});
  params.q_len = 2;
  params.sequences = {&layer, 1};
  params.out = Out(out, {2, 2});
  backend_->CachedAttention(params);
  EXPECT_THAT(out, ElementsAre(25, 2, 30, 4));

  // Row 0 stands at 9, row 1 at 10: a window of 5 leaves frozen position 5 to row 0 alone.
  params.window = 5;
  backend_->CachedAttention(params);
  EXPECT_THAT(out, ElementsAre(30, 2, 40, 4));
}

TEST_F(ReferenceBackendTest, SiluMultiply) {
  const std::vector<float> gate_up = {0, -1000, 1000, 5, 3, 2};
  std::vector<float> out(3);
  backend_->SiluMultiply({.gate_up = In(gate_up, {1, 6}), .out = Out(out, {1, 3})});
  EXPECT_THAT(out, ElementsAre(0, 0, 2000));
}

TEST_F(ReferenceBackendTest, WindowScoresNormalizeOverTheWindowToo) {
  // Equal scores: row 2 sees three entries, row 3 sees four; both add to each of two columns.
  const std::vector<float> q = {0, 0};
  const std::vector<float> keys = {1, 2, 3, 4};
  std::vector<float> out(2);
  WindowScoresParams params;
  params.q = In(q, {2, 1, 1});
  params.keys = In(keys, {1, 4, 1});
  params.out = Out(out, {1, 2});
  backend_->WindowScores(params);
  EXPECT_THAT(out, ElementsAre(FloatEq(7.f / 12), FloatEq(7.f / 12)));

  // With a window of 3 row 3 no longer sees entry 0.
  const std::vector<int32_t> positions = {0, 1, 2, 3};
  params.window = 3;
  params.positions = positions.data();
  backend_->WindowScores(params);
  EXPECT_THAT(out, ElementsAre(FloatEq(1.f / 3), FloatEq(2.f / 3)));
}

TEST_F(ReferenceBackendTest, PoolScores) {
  const std::vector<float> scores = {1, 2, 6, -5, -4, -6};
  std::vector<float> out(6);
  PoolScoresParams params{.scores = In(scores, {2, 3}), .kernel = 3, .out = Out(out, {2, 3})};
  backend_->PoolScores(params);
  EXPECT_THAT(out, ElementsAre(2, 6, 6, -4, -4, -4));
  params.kind = PoolingKind::kAverage;
  backend_->PoolScores(params);
  EXPECT_THAT(out, ElementsAre(1, 3, FloatEq(8.f / 3), -3, -5, FloatEq(-10.f / 3)));
}

TEST_F(ReferenceBackendTest, ReduceRows) {
  const std::vector<float> scores = {1, 2, 5, 8, -1, -2, -5, -8};
  std::vector<float> out(4);
  ReduceRowsParams params{.scores = In(scores, {4, 2}), .out = Out(out, {2, 2})};
  backend_->ReduceRows(params);
  EXPECT_THAT(out, ElementsAre(6, 10, -6, -10));
  params.kind = ReductionKind::kMean;
  backend_->ReduceRows(params);
  EXPECT_THAT(out, ElementsAre(3, 5, -3, -5));
  params.kind = ReductionKind::kMax;
  backend_->ReduceRows(params);
  EXPECT_THAT(out, ElementsAre(5, 8, -1, -2));
}

TEST_F(ReferenceBackendTest, SelectTopKBreaksTiesAndRanksNanLast) {
  const std::vector<float> scores = {1,    3,          3,    3,    0,  //
                                     kNan, -kInfinity, kNan, kNan, 2};
  std::vector<int32_t> out(8);
  backend_->SelectTopK({.scores = In(scores, {2, 5}),
                        .count = 3,
                        .tail = 1,
                        .out = {out.data(), DType::kI32, {2, 4}}});
  EXPECT_THAT(out, ElementsAre(1, 2, 3, 5, 0, 1, 4, 5));
}

TEST_F(ReferenceBackendTest, GatherKvTakesEachHeadsOwnEntries) {
  const std::vector<float> keys = {0, 1, 2, 10, 11, 12};
  const std::vector<float> values = {20, 21, 22, 30, 31, 32};
  const std::vector<int32_t> positions = {5, 6, 9};
  const std::vector<int32_t> indices = {0, 2, 1, 2};
  std::vector<float> out_keys(4);
  std::vector<float> out_values(4);
  std::vector<int32_t> out_positions(4);
  GatherKvParams params;
  params.keys = In(keys, {2, 3, 1});
  params.values = In(values, {2, 3, 1});
  params.positions = positions.data();
  params.indices = {indices.data(), DType::kI32, {2, 2}};
  params.out_keys = Out(out_keys, {2, 2, 1});
  params.out_values = Out(out_values, {2, 2, 1});
  params.out_positions = {out_positions.data(), DType::kI32, {2, 2}};
  backend_->GatherKv(params);
  EXPECT_THAT(out_keys, ElementsAre(0, 2, 11, 12));
  EXPECT_THAT(out_values, ElementsAre(20, 22, 31, 32));
  EXPECT_THAT(out_positions, ElementsAre(5, 9, 6, 9));
}

TEST_F(ReferenceBackendTest, GatherRows) {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> indices = {0, 2};
  std::vector<float> out(4);
  backend_->GatherRows({.x = In(x, {3, 2}), .indices = indices.data(), .out = Out(out, {2, 2})});
  EXPECT_THAT(out, ElementsAre(1, 2, 5, 6));
}

TEST_F(ReferenceBackendTest, ArgMaxNamesBrokenRows) {
  const std::vector<float> logits = {1,          5,          5,  //
                                     9,          kNan,       1,  //
                                     kInfinity,  1,          2,  //
                                     -kInfinity, -kInfinity, -3};
  std::vector<int32_t> out(4);
  backend_->ArgMax({.logits = In(logits, {4, 3}), .out = {out.data(), DType::kI32, {4}}});
  EXPECT_THAT(out, ElementsAre(1, -1, -1, 2));
}

TEST_F(ReferenceBackendTest, TargetLogProbs) {
  const std::vector<float> logits = {7, 7, 7, 7, 1000, 0, 0, 0};
  const std::vector<int32_t> targets = {2, 1};
  std::vector<float> out(2);
  backend_->TargetLogProbs(
      {.logits = In(logits, {2, 4}), .targets = targets.data(), .out = Out(out, {2})});
  EXPECT_THAT(out, ElementsAre(FloatEq(std::log(0.25f)), -1000));
}

TEST(ReferenceTypes, ResultsAreRoundedToTheActivationType) {
  const auto backend = CreateReferenceBackend({.activation = DType::kBF16, .kv = DType::kF32});
  const std::vector<float> x = {1, -1};
  const std::vector<float> weight = {1.00390625f, 1.01171875f};  // halfway between neighbours
  std::vector<BFloat16> out(2);
  backend->RmsNorm(
      {.x = In(x, {1, 2}), .weight = In(weight, {2}), .out = {out.data(), DType::kBF16, {1, 2}}});
  EXPECT_EQ(ToFloat(out[0]), 1);
  EXPECT_EQ(ToFloat(out[1]), -1.015625f);
}

TEST(ReferenceMemory, PackWeightReportsWhatItCannotTake) {
  class NoMemory final : public Allocator {
   public:
    void* Allocate(size_t) override { return nullptr; }
    void Free(void*, size_t) override {}
  };
  NoMemory no_memory;
  const auto backend = CreateReferenceBackend({}, &no_memory);
  const std::vector<float> values = {1, 2};
  const WeightView part = ToWeightView(In(values, {1, 2}));
  const auto weight = backend->PackWeight({&part, 1});
  ASSERT_FALSE(weight.ok());
  EXPECT_EQ(weight.status().code(), StatusCode::kMemory);
}

}  // namespace
}  // namespace fastkv
