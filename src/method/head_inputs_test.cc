// Scores and selections of a layer whose heads hold different entries, against each head alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "method/layer_observation.h"
#include "method/unequal_heads.h"

namespace fastkv {
namespace {

constexpr int64_t kTokens = 30;
constexpr int64_t kHeadDim = 4;
constexpr int64_t kGroup = 2;
constexpr int64_t kHeads = 2;
constexpr int64_t kWindow = 5;

class HeadInputsTest : public ::testing::TestWithParam<int64_t> {
 protected:
  HeadInputsTest() : backend_(CreateReferenceBackend({})) {
    Random random(5);
    for (float& value : keys_) value = random.NextGaussian();
    for (float& value : queries_) value = random.NextGaussian();
    // Each head has positions of its own, the window's in common.
    for (int64_t head = 0; head < kHeads; ++head) {
      int32_t position = 0;
      for (int64_t j = 0; j < kTokens; ++j) {
        position += j < kTokens - kWindow ? 1 + static_cast<int32_t>(random.NextInt(3)) : 1;
        positions_[head * kTokens + j] = position;
      }
      const int32_t shift = 200 - position;
      for (int64_t j = 0; j < kTokens; ++j) positions_[head * kTokens + j] += shift;
    }
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t row = 0; row < kWindow; ++row) {
        const float* const from = &queries_[(row * kHeads + head) * kGroup * kHeadDim];
        head_queries_.insert(head_queries_.end(), from, from + kGroup * kHeadDim);
      }
    }
  }

  LayerInputs Inputs(const std::vector<int64_t>& first, int64_t sliding_window) const {
    LayerInputs inputs{
        .keys = ConstTensorView(keys_.data(), DType::kF32, {kHeads, kTokens, kHeadDim}),
        .queries =
            ConstTensorView(queries_.data(), DType::kF32, {kWindow, kHeads * kGroup, kHeadDim}),
        .scale = 0.5F,
        .sliding_window = sliding_window};
    inputs.values = inputs.keys;
    for (int64_t head = 0; head < kHeads; ++head) {
      inputs.heads.push_back(
          {.first = first[head],
           .positions = &positions_[head * kTokens],
           .queries = ConstTensorView(&head_queries_[head * kWindow * kGroup * kHeadDim],
                                      DType::kF32, {kWindow, kGroup, kHeadDim})});
    }
    return inputs;
  }

  // The layer as if it had this head alone.
  LayerInputs Alone(const LayerInputs& all, int64_t head) const {
    const HeadInputs& of_head = all.heads[head];
    LayerInputs inputs{.keys = all.keys.Rows(head, head + 1).Slice(1, of_head.first, kTokens),
                       .queries = of_head.queries,
                       .scale = all.scale,
                       .sliding_window = all.sliding_window,
                       .positions = of_head.positions + of_head.first};
    inputs.values = inputs.keys;
    return inputs;
  }

  ObservationScratch Scratch(int64_t num_heads) const {
    PrefillPlan plan;
    plan.layers.push_back({.tokens_in = kTokens, .observation = {.query_rows = kWindow}});
    return ObservationScratch::Allocate(*backend_,
                                        {.num_layers = 1,
                                         .num_q_heads = num_heads * kGroup,
                                         .num_kv_heads = num_heads,
                                         .head_dim = kHeadDim},
                                        plan)
        .value();
  }

  std::unique_ptr<Backend> backend_;
  std::vector<float> keys_ = std::vector<float>(kHeads * kTokens * kHeadDim);
  std::vector<float> queries_ = std::vector<float>(kWindow * kHeads * kGroup * kHeadDim);
  std::vector<float> head_queries_;  // [head][row][group][head_dim]
  std::vector<int32_t> positions_ = std::vector<int32_t>(kHeads * kTokens);
};

TEST_P(HeadInputsTest, ScoresAreThoseOfEachHeadAlone) {
  for (const std::vector<int64_t>& first :
       {std::vector<int64_t>{0, 0}, {0, 7}, {22, 0}, {24, 24}}) {
    for (const PoolingKind pooling : {PoolingKind::kMax, PoolingKind::kAverage}) {
      const LayerInputs inputs = Inputs(first, GetParam());
      ObservationScratch scratch = Scratch(kHeads);
      LayerObservation observation(*backend_, scratch, inputs);
      const TensorView scores = observation.GroupScores(kWindow, 3, pooling);
      for (int64_t head = 0; head < kHeads; ++head) {
        EXPECT_EQ(observation.NumEntries(head), kTokens - first[head]);
        const LayerInputs alone = Alone(inputs, head);
        ObservationScratch scratch_alone = Scratch(1);
        LayerObservation observation_alone(*backend_, scratch_alone, alone);
        const TensorView expected = observation_alone.GroupScores(kWindow, 3, pooling);
        const float* const row = scores.Rows(head, head + 1).As<float>() + first[head];
        EXPECT_EQ(std::vector<float>(row, row + expected.dim(1)),
                  std::vector<float>(expected.As<float>(), expected.As<float>() + expected.dim(1)));
      }
    }
  }
}

TEST_P(HeadInputsTest, OnlyEntriesThatAreThereAreChosen) {
  LayerInputs inputs = Inputs({22, 3}, GetParam());
  inputs.heads[0].protected_tokens = {{23, 24}};
  inputs.heads[1].protected_tokens = {{9, 10}};
  inputs.protected_tokens = inputs.heads[0].protected_tokens;
  ObservationScratch scratch = Scratch(kHeads);
  LayerObservation observation(*backend_, scratch, inputs);
  constexpr int64_t kKvLen = 14;
  std::vector<int32_t> indices(kHeads * kKvLen + kHeads / 2);
  Selection selection{.kv_indices = TensorView(indices.data(), DType::kI32,
                                               {static_cast<int64_t>(indices.size())})};
  ASSERT_TRUE(SelectUnequalHeads(observation.GroupScores(kWindow, 3, PoolingKind::kMax), kKvLen,
                                 kWindow, /*alpha=*/1, observation, selection)
                  .ok());
  // Every head may have nine before the window; the first has only three.
  EXPECT_EQ(selection.head_kv_len, (std::vector<int64_t>{8, kKvLen}));
  const std::vector<int32_t> of_first(indices.begin(), indices.begin() + 8);
  EXPECT_EQ(of_first, (std::vector<int32_t>{22, 23, 24, 25, 26, 27, 28, 29}));
  const std::vector<int32_t> of_second(indices.begin() + 8, indices.begin() + 8 + kKvLen);
  EXPECT_TRUE(std::is_sorted(of_second.begin(), of_second.end()));
  EXPECT_GE(of_second.front(), 3);
  EXPECT_TRUE(std::binary_search(of_second.begin(), of_second.end(), 9));
}

INSTANTIATE_TEST_SUITE_P(SlidingWindows, HeadInputsTest, ::testing::Values(0, 12));

}  // namespace
}  // namespace fastkv
