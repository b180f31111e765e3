// Selection of a toy layer whose numbers were computed independently in double precision: scores,
// pooled scores and the sets that FastKV, SnapKV, H2O and GemFilter keep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "backend/backend.h"

namespace fastkv {
namespace {

using testing::ElementsAre;

constexpr int64_t kNumQHeads = 4;
constexpr int64_t kNumKvHeads = 2;
constexpr int64_t kNumTokens = 24;
constexpr int64_t kHeadDim = 4;
constexpr int64_t kWindow = 3;
constexpr int64_t kKernel = 3;
constexpr int64_t kNumColumns = kNumTokens - kWindow;

ConstTensorView ViewOf(const std::vector<float>& values, int64_t num_rows) {
  const auto count = static_cast<int64_t>(values.size());
  return {values.data(), DType::kF32, {num_rows, count / num_rows}};
}

class ToyLayer : public testing::Test {
 protected:
  // 2 sin(0.7 (h+1) + 0.31 i (c+1) + phase) for rows i from `first_row` on:
  // [num_rows, kNumQHeads, kHeadDim].
  static std::vector<float> Queries(int64_t first_row, double phase = 0) {
    std::vector<float> q;
    for (int64_t i = first_row; i < kNumTokens; ++i) {
      for (int64_t h = 0; h < kNumQHeads; ++h) {
        for (int64_t c = 0; c < kHeadDim; ++c) {
          const double angle =
              0.7 * static_cast<double>(h + 1) + 0.31 * static_cast<double>(i * (c + 1)) + phase;
          q.push_back(static_cast<float>(2 * std::sin(angle)));
        }
      }
    }
    return q;
  }

  // 2 cos(0.4 (a+1) + 0.53 j + 0.9 c + phase): [kNumKvHeads, kNumTokens, kHeadDim].
  static std::vector<float> Keys(double phase = 0) {
    std::vector<float> keys;
    for (int64_t a = 0; a < kNumKvHeads; ++a) {
      for (int64_t j = 0; j < kNumTokens; ++j) {
        for (int64_t c = 0; c < kHeadDim; ++c) {
          const double angle = 0.4 * static_cast<double>(a + 1) + 0.53 * static_cast<double>(j) +
                               0.9 * static_cast<double>(c) + phase;
          keys.push_back(static_cast<float>(2 * std::cos(angle)));
        }
      }
    }
    return keys;
  }

  std::vector<float> WindowScores(double phase = 0) {
    const std::vector<float> q = Queries(kNumTokens - kWindow, phase);
    const std::vector<float> keys = Keys(phase);
    std::vector<float> scores(kNumQHeads * kNumColumns);
    WindowScoresParams params;
    params.q = {q.data(), DType::kF32, {kWindow, kNumQHeads, kHeadDim}};
    params.keys = {keys.data(), DType::kF32, {kNumKvHeads, kNumTokens, kHeadDim}};
    params.scale = 1 / std::sqrt(static_cast<float>(kHeadDim));
    params.out = {scores.data(), DType::kF32, {kNumQHeads, kNumColumns}};
    backend_->WindowScores(params);
    return scores;
  }

  // Column sums of the causal probabilities of the rows from `first_row` on, by query head:
  // [kNumQHeads, kNumTokens]. Each head is a layer of its own, so that none is added to another.
  std::vector<float> ColumnScores(int64_t first_row) {
    const int64_t num_rows = kNumTokens - first_row;
    const std::vector<float> q = Queries(first_row);
    const std::vector<float> keys = Keys();
    const ConstTensorView all_q(q.data(), DType::kF32, {num_rows, kNumQHeads, kHeadDim});
    const ConstTensorView all_keys(keys.data(), DType::kF32, {kNumKvHeads, kNumTokens, kHeadDim});
    std::vector<float> scores(kNumQHeads * kNumTokens);
    std::vector<float> attended(num_rows * kHeadDim);
    std::vector<float> log_sum_exp(num_rows);
    for (int64_t h = 0; h < kNumQHeads; ++h) {
      const int64_t kv_head = h * kNumKvHeads / kNumQHeads;
      PrefillAttentionParams attention;
      attention.q = all_q.Slice(1, h, h + 1);
      attention.keys = all_keys.Rows(kv_head, kv_head + 1);
      attention.values = attention.keys;
      attention.q_start = first_row;
      attention.scale = 1 / std::sqrt(static_cast<float>(kHeadDim));
      attention.out = {attended.data(), DType::kF32, {num_rows, kHeadDim}};
      attention.log_sum_exp = {log_sum_exp.data(), DType::kF32, {num_rows, 1}};
      backend_->PrefillAttention(attention);
      ColumnScoresParams params;
      params.q = attention.q;
      params.keys = attention.keys;
      params.q_start = first_row;
      params.scale = attention.scale;
      params.log_sum_exp = attention.log_sum_exp;
      params.out = {&scores[h * kNumTokens], DType::kF32, {1, kNumTokens}};
      backend_->ColumnScores(params);
    }
    return scores;
  }

  // The last token's scores, [kNumQHeads, kNumTokens].
  std::vector<float> LastQueryScores(float scale) {
    const std::vector<float> q = Queries(kNumTokens - 1);
    const std::vector<float> keys = Keys();
    std::vector<float> scores(kNumQHeads * kNumTokens);
    QueryScoresParams params;
    params.q = {q.data(), DType::kF32, {1, kNumQHeads, kHeadDim}};
    params.keys = {keys.data(), DType::kF32, {kNumKvHeads, kNumTokens, kHeadDim}};
    params.scale = scale;
    params.out = {scores.data(), DType::kF32, {kNumQHeads, kNumTokens}};
    backend_->QueryScores(params);
    return scores;
  }

  // `scores` of all heads reduced to one row, then average-pooled by 5.
  std::vector<float> ReduceThenPool(const std::vector<float>& scores, ReductionKind kind) {
    std::vector<float> reduced(kNumTokens);
    backend_->ReduceRows({.scores = ViewOf(scores, kNumQHeads),
                          .kind = kind,
                          .out = {reduced.data(), DType::kF32, {1, kNumTokens}}});
    std::vector<float> pooled(kNumTokens);
    backend_->PoolScores({.scores = ViewOf(reduced, 1),
                          .kernel = 5,
                          .kind = PoolingKind::kAverage,
                          .out = {pooled.data(), DType::kF32, {1, kNumTokens}}});
    return pooled;
  }

  std::vector<float> Pool(const std::vector<float>& scores, PoolingKind kind) {
    std::vector<float> pooled(scores.size());
    backend_->PoolScores({.scores = ViewOf(scores, kNumQHeads),
                          .kernel = kKernel,
                          .kind = kind,
                          .out = {pooled.data(), DType::kF32, {kNumQHeads, kNumColumns}}});
    return pooled;
  }

  std::vector<float> Sum(const std::vector<float>& scores, int64_t num_groups) {
    std::vector<float> sums(num_groups * kNumColumns);
    backend_->ReduceRows({.scores = ViewOf(scores, kNumQHeads),
                          .kind = ReductionKind::kSum,
                          .out = {sums.data(), DType::kF32, {num_groups, kNumColumns}}});
    return sums;
  }

  // Row by row, the best `count` columns, then `tail` more.
  std::vector<std::vector<int32_t>> Select(const std::vector<float>& scores, int64_t num_rows,
                                           int64_t count, int64_t tail = 0) {
    std::vector<int32_t> indices(num_rows * (count + tail));
    backend_->SelectTopK({.scores = ViewOf(scores, num_rows),
                          .count = count,
                          .tail = tail,
                          .out = {indices.data(), DType::kI32, {num_rows, count + tail}}});
    std::vector<std::vector<int32_t>> rows;
    for (auto row = indices.begin(); row != indices.end(); row += count + tail) {
      rows.emplace_back(row, row + count + tail);
    }
    return rows;
  }

  std::unique_ptr<Backend> backend_ = CreateReferenceBackend({});
};

void ExpectBegins(const std::vector<float>& values, int64_t row, std::vector<double> expected) {
  for (size_t j = 0; j < expected.size(); ++j) {
    const size_t i = static_cast<size_t>(row * kNumColumns) + j;
    EXPECT_NEAR(values[i], expected[j], 1e-6) << "row " << row << ", column " << j;
  }
}

TEST_F(ToyLayer, WindowSums) {
  const std::vector<float> u = WindowScores();
  EXPECT_NEAR(u[0], 0.1434, 5e-5);
  EXPECT_NEAR(u[1], 0.03158, 5e-6);
  EXPECT_NEAR(u[2], 0.003764, 5e-7);
  EXPECT_NEAR(u[3], 0.000516, 5e-7);
  EXPECT_NEAR(u[4], 0.000355, 5e-7);
  EXPECT_NEAR(u[5], 0.001703, 5e-7);
}

TEST_F(ToyLayer, PooledGroupSums) {
  const std::vector<float> max = Sum(Pool(WindowScores(), PoolingKind::kMax), kNumKvHeads);
  ExpectBegins(max, 0, {0.445719, 0.445719, 0.199408, 0.042931, 0.006793});
  ExpectBegins(max, 1, {0.754989, 0.754989, 0.678011, 0.465990, 0.229854});
  const std::vector<float> average = Sum(Pool(WindowScores(), PoolingKind::kAverage), kNumKvHeads);
  ExpectBegins(average, 0, {0.215042, 0.229353, 0.082648, 0.016584, 0.003155});
}

TEST_F(ToyLayer, FastKvKeepsByKvHead) {
  const std::vector<float> max = Sum(Pool(WindowScores(), PoolingKind::kMax), kNumKvHeads);
  EXPECT_THAT(
      Select(max, kNumKvHeads, 10 - kWindow),
      ElementsAre(ElementsAre(8, 9, 10, 11, 12, 19, 20), ElementsAre(0, 1, 2, 11, 12, 13, 14)));
  const std::vector<float> average = Sum(Pool(WindowScores(), PoolingKind::kAverage), kNumKvHeads);
  EXPECT_THAT(
      Select(average, kNumKvHeads, 10 - kWindow),
      ElementsAre(ElementsAre(1, 8, 9, 10, 11, 12, 19), ElementsAre(0, 1, 2, 11, 12, 13, 14)));
}

// Columns 19 and 20 share a plateau that straddles the cut.
TEST_F(ToyLayer, TieGoesToTheLowerColumn) {
  const std::vector<float> max = Sum(Pool(WindowScores(), PoolingKind::kMax), kNumKvHeads);
  EXPECT_EQ(max[19], max[20]);
  EXPECT_NEAR(max[19], 0.512739, 1e-6);
  EXPECT_THAT(Select(max, kNumKvHeads, 9 - kWindow)[0], ElementsAre(8, 9, 10, 11, 12, 19));
}

TEST_F(ToyLayer, PropagatedTokens) {
  const std::vector<float> sums = Sum(Pool(WindowScores(), PoolingKind::kMax), 1);
  ExpectBegins(sums, 0, {1.200708, 1.200708, 0.877419, 0.508921, 0.236647});
  EXPECT_THAT(Select(sums, 1, 12 - kWindow, kWindow)[0],
              ElementsAre(0, 1, 2, 8, 9, 10, 11, 12, 13, 21, 22, 23));
}

TEST_F(ToyLayer, PropagationScoresOfAnotherLayer) {
  const double phase_of_layer_3 = 2 * std::pow(-0.6, 3);
  const std::vector<float> sums =
      Sum(Pool(WindowScores(phase_of_layer_3), PoolingKind::kAverage), 1);
  ExpectBegins(sums, 0, {0.625263, 0.785670, 0.505821, 0.244769, 0.089769});
}

TEST_F(ToyLayer, SnapKvKeepsByQueryHead) {
  const std::vector<float> pooled = Pool(WindowScores(), PoolingKind::kMax);
  EXPECT_THAT(
      Select(pooled, kNumQHeads, 10 - kWindow),
      ElementsAre(ElementsAre(7, 8, 9, 10, 11, 19, 20), ElementsAre(0, 1, 8, 9, 10, 11, 12),
                  ElementsAre(0, 1, 2, 10, 11, 12, 13), ElementsAre(0, 1, 2, 3, 12, 13, 14)));
}

// Causal column sums favour early tokens, which more rows see.
TEST_F(ToyLayer, H2oKeepsByQueryHead) {
  const std::vector<float> sums = ColumnScores(0);
  std::vector<float> past;
  for (int64_t h = 0; h < kNumQHeads; ++h) {
    const auto row = sums.begin() + h * kNumTokens;
    past.insert(past.end(), row, row + kNumColumns);
    // Every row's probabilities add up to 1.
    EXPECT_NEAR(std::accumulate(row, row + kNumTokens, 0.0), double{kNumTokens}, 1e-5);
  }
  EXPECT_THAT(Select(past, kNumQHeads, 8 - kWindow),
              ElementsAre(ElementsAre(0, 1, 4, 5, 6), ElementsAre(0, 1, 4, 5, 6),
                          ElementsAre(0, 1, 3, 4, 5), ElementsAre(0, 1, 3, 4, 5)));
}

// Shares of the last four rows' probability that fall on each block of four entries.
TEST_F(ToyLayer, BlockShares) {
  const std::vector<float> sums = ColumnScores(kNumTokens - 4);
  std::vector<double> shares(6, 0.0);
  for (size_t i = 0; i < sums.size(); ++i) {
    shares[i % kNumTokens / 4] += sums[i] / double{4 * kNumQHeads};
  }
  const std::vector<double> expected = {0.172558, 0.063156, 0.322068, 0.163428, 0.071548, 0.207242};
  for (size_t b = 0; b < shares.size(); ++b) EXPECT_NEAR(shares[b], expected[b], 1e-6);
}

TEST_F(ToyLayer, GemFilterKeepsWhatTheLastQueryLikes) {
  const std::vector<float> pooled = ReduceThenPool(LastQueryScores(1), ReductionKind::kSum);
  const std::vector<double> expected = {14.0402, 15.3531, 13.8726, 4.8620};
  for (size_t j = 0; j < expected.size(); ++j) EXPECT_NEAR(pooled[j], expected[j], 1e-4);
  EXPECT_THAT(Select(pooled, 1, 8)[0], ElementsAre(0, 1, 2, 10, 11, 12, 13, 14));
}

TEST_F(ToyLayer, MeanOfTheLastQuerysScores) {
  std::vector<float> scores = LastQueryScores(0.5f);
  std::vector<float> mean(kNumTokens);
  backend_->ReduceRows({.scores = ViewOf(scores, kNumQHeads),
                        .kind = ReductionKind::kMean,
                        .out = {mean.data(), DType::kF32, {1, kNumTokens}}});
  const std::vector<double> expected = {3.214395, 3.219501, 2.341222, 0.820545};
  for (size_t j = 0; j < expected.size(); ++j) EXPECT_NEAR(mean[j], expected[j], 2e-6);

  // Without the last token's own score, pooled.
  const std::vector<ColumnSpan> last = {{kNumTokens - 1, kNumTokens}};
  backend_->FillColumns({.scores = {scores.data(), DType::kF32, {kNumQHeads, kNumTokens}},
                         .spans = last,
                         .value = 0});
  const std::vector<float> pooled = ReduceThenPool(scores, ReductionKind::kMean);
  const std::vector<double> expected_pooled = {1.755024, 1.919133, 1.734077, 0.607754};
  for (size_t j = 0; j < expected_pooled.size(); ++j) {
    EXPECT_NEAR(pooled[j], expected_pooled[j], 2e-6);
  }
}

}  // namespace
}  // namespace fastkv
