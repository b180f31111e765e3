// Values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/backend.h"

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

constexpr float kLargest = std::numeric_limits<float>::max();

using Dims = std::initializer_list<int64_t>;

ConstTensorView In(const std::vector<float>& values, Dims dims) {
  return {values.data(), DType::kF32, dims};
}
TensorView Out(std::vector<float>& values, Dims dims) { return {values.data(), DType::kF32, dims}; }

class LayerScoresTest : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend_ = CreateReferenceBackend({});
};

TEST_F(LayerScoresTest, ColumnScoresAddProbabilitiesOfVisibleRows) {
  // Equal scores; the rows stand at entries 1 and 2 and see two and three entries.
  const std::vector<float> q = {0, 0};
  const std::vector<float> keys = {1, 2, 3, 4};
  const std::vector<float> log_sum_exp = {std::log(2.f), std::log(4.f)};
  std::vector<float> out = {1, 0, 0, 10};
  ColumnScoresParams params;
  params.q = In(q, {2, 1, 1});
  params.keys = In(keys, {1, 4, 1});
  params.q_start = 1;
  params.log_sum_exp = In(log_sum_exp, {2, 1});
  params.out = Out(out, {1, 4});
  backend_->ColumnScores(params);
  EXPECT_THAT(out, ElementsAre(FloatEq(1.75f), FloatEq(0.75f), FloatEq(0.25f), 10));

  // The row at entry 2 is 3 away from entry 0; weights multiply whole rows.
  const std::vector<int32_t> positions = {2, 4, 5, 6};
  const std::vector<float> row_weights = {2, 100};
  params.window = 3;
  params.positions = positions.data();
  params.row_weights = In(row_weights, {2});
  out = {0, 0, 0, 0};
  backend_->ColumnScores(params);
  EXPECT_THAT(out, ElementsAre(FloatEq(1), FloatEq(26), FloatEq(25), 0));
}

TEST_F(LayerScoresTest, ColumnScoresOfRowsBeyondTheEntries) {
  // Two query heads of one KV head; both rows see both entries. exp(2 * 1 * k - 0).
  const std::vector<float> q = {1, 0, 1, 0};
  const std::vector<float> keys = {0, std::log(3.f)};
  const std::vector<float> log_sum_exp = {0, std::log(2.f), 0, std::log(2.f)};
  std::vector<float> out = {0, 0};
  ColumnScoresParams params;
  params.q = In(q, {2, 2, 1});
  params.keys = In(keys, {1, 2, 1});
  params.q_start = 7;
  params.scale = 2;
  params.log_sum_exp = In(log_sum_exp, {2, 2});
  params.out = Out(out, {1, 2});
  backend_->ColumnScores(params);
  EXPECT_THAT(out, ElementsAre(FloatEq(3), FloatEq(19)));
}

TEST_F(LayerScoresTest, QueryScores) {
  const std::vector<float> q = {1, 2, 3, 4};
  const std::vector<float> keys = {1, 0, 0, 1, -1, 1};
  std::vector<float> out(6);
  backend_->QueryScores(
      {.q = In(q, {1, 2, 2}), .keys = In(keys, {1, 3, 2}), .scale = 10, .out = Out(out, {2, 3})});
  EXPECT_THAT(out, ElementsAre(10, 20, 10, 30, 40, 10));
}

TEST_F(LayerScoresTest, KeyNormScores) {
  const std::vector<float> keys = {3, 4, 0, 0, -5, 12, 1, 0};
  std::vector<float> out(4);
  backend_->KeyNormScores({.keys = In(keys, {2, 2, 2}), .out = Out(out, {2, 2})});
  EXPECT_THAT(out, ElementsAre(-5, 0, -13, -1));
}

TEST_F(LayerScoresTest, KeyDiffScoresIgnoreLengths) {
  // Directions (1, 0) and (0, 1): the anchor lies between them, at 45 degrees; a zero key scores 0.
  const std::vector<float> keys = {3, 0, 0, 0, 0, 100};
  std::vector<float> out(3);
  KeyDiffScoresParams params{.keys = In(keys, {1, 3, 2}), .out = Out(out, {1, 3})};
  backend_->KeyDiffScores(params);
  const float cosine = std::sqrt(0.5f);
  EXPECT_THAT(out, ElementsAre(FloatEq(-cosine), 0, FloatEq(-cosine)));

  // (1, 0), (1, 0), (-1, 0): the anchor is a third of (1, 0).
  const std::vector<float> opposite = {2, 0, 5, 0, -1, 0};
  params.keys = In(opposite, {1, 3, 2});
  backend_->KeyDiffScores(params);
  EXPECT_THAT(out, ElementsAre(-1, -1, 1));

  // No direction prevails.
  const std::vector<float> balanced = {2, 0, -5, 0, 0, 0};
  params.keys = In(balanced, {1, 3, 2});
  backend_->KeyDiffScores(params);
  EXPECT_THAT(out, ElementsAre(0, 0, 0));
}

TEST_F(LayerScoresTest, QueryMomentsAddUpBeforeRotation) {
  // Two tokens, one q head and one KV head of two components; keys and values play no part.
  const std::vector<float> qkv = {1, 2, 90, 91, 92, 93, 3, -4, 94, 95, 96, 97};
  std::vector<float> sum = {100, 200};
  std::vector<float> products = {1000, 2000, 3000, 4000};
  QueryMomentsParams params;
  params.qkv = In(qkv, {2, 6});
  params.sum = Out(sum, {1, 2});
  params.products = Out(products, {1, 2, 2});
  backend_->QueryMoments(params);
  EXPECT_THAT(sum, ElementsAre(104, 198));
  EXPECT_THAT(products, ElementsAre(1010, 1990, 2990, 4020));

  // (3, -4) has mean square 12.5 and with the epsilon 25: (0.6, -0.8) times the weight (5, 10).
  const std::vector<float> norm_weight = {5, 10};
  sum = {0, 0};
  products = {0, 0, 0, 0};
  params.qkv = In(qkv, {2, 6}).Rows(1, 2);
  params.q_norm_weight = In(norm_weight, {2});
  params.norm_epsilon = 12.5f;
  backend_->QueryMoments(params);
  EXPECT_THAT(sum, ElementsAre(FloatEq(3), FloatEq(-8)));
  EXPECT_THAT(products, ElementsAre(FloatEq(9), FloatEq(-24), FloatEq(-24), FloatEq(64)));
}

TEST_F(LayerScoresTest, ExpectedAttentionScores) {
  // Behind one sink, keys 0 and 1 of one component: z = k mean / 2 + k^2 covariance / 8. Head 0 has
  // z = 0, ln 3 by its mean, head 1 by its covariance: p = 1/4, 3/4 in both.
  const float ln3 = std::log(3.f);
  const std::vector<float> keys = {9, 0, 1};
  const std::vector<float> values = {1, 2, -4};
  const std::vector<float> mean = {2 * ln3, 0};
  const std::vector<float> covariance = {0, 8 * ln3};
  std::vector<float> out(3);
  ExpectedAttentionScoresParams params;
  params.keys = In(keys, {1, 3, 1});
  params.values = In(values, {1, 3, 1});
  params.mean = In(mean, {2, 1});
  params.covariance = In(covariance, {2, 1, 1});
  params.scale = 0.5f;
  params.num_sinks = 1;
  params.out = Out(out, {1, 3});
  backend_->ExpectedAttentionScores(params);
  EXPECT_THAT(out, ElementsAre(kLargest, FloatEq(0.5f), FloatEq(3)));

  params.num_sinks = 4;
  backend_->ExpectedAttentionScores(params);
  EXPECT_THAT(out, ElementsAre(kLargest, kLargest, kLargest));
}

TEST_F(LayerScoresTest, FillColumns) {
  std::vector<float> scores = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<ColumnSpan> spans = {{0, 1}, {2, 2}, {2, 4}};
  backend_->FillColumns({.scores = Out(scores, {2, 4}), .spans = spans, .value = kLargest});
  EXPECT_THAT(scores,
              ElementsAre(kLargest, 2, kLargest, kLargest, kLargest, 6, kLargest, kLargest));
}

}  // namespace
}  // namespace fastkv
