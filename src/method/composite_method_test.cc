#include "method/composite_method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "method/method.h"
#include "method/toy_layer.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ModelShape kSixteenLayers = {
    .num_layers = 16, .num_q_heads = 8, .num_kv_heads = 2, .head_dim = 64};

PrefillPlan PlanOf(const MethodConfig& config, int64_t prompt_tokens,
                   const ModelShape& shape = kSixteenLayers) {
  const Result<std::unique_ptr<Method>> method = CreateMethod(config, shape);
  EXPECT_TRUE(method.ok()) << method.status().message();
  const Result<PrefillPlan> plan = (*method)->Plan(prompt_tokens);
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  return *plan;
}

// The table of docs/methods.md, "Budgets": KV 10 %, TSP 20 % at layer 7.
TEST(FastKvPlanTest, TruncatesSharesAsPublished) {
  struct Row {
    int64_t prompt, early, propagated, late;
  };
  for (const Row& row : {Row{80, 8, 16, 8}, Row{1000, 100, 200, 100}, Row{4097, 409, 819, 409},
                         Row{8192, 819, 1638, 819}, Row{30001, 3000, 6000, 3000},
                         Row{127500, 12750, 25500, 12750}}) {
    const PrefillPlan plan = PlanOf({}, row.prompt);
    for (int i = 0; i < 16; ++i) {
      const LayerPlan& layer = plan.layers[i];
      EXPECT_EQ(layer.tokens_in, i <= 7 ? row.prompt : row.propagated) << row.prompt << " " << i;
      EXPECT_EQ(layer.kv_len, i <= 7 ? row.early : row.late) << row.prompt << " " << i;
      EXPECT_EQ(layer.tokens_out, i < 7 ? row.prompt : row.propagated) << row.prompt << " " << i;
    }
    EXPECT_EQ(plan.CutLayer(), 7);
    EXPECT_EQ(plan.layers[0].observation.query_rows, 8);
  }
}

TEST(FastKvPlanTest, CapacityIsRaisedToTheWindow) {
  const PrefillPlan plan = PlanOf({}, 40);  // 10 % would be 4 entries
  EXPECT_EQ(plan.layers[0].kv_len, 8);
  EXPECT_EQ(plan.layers[7].tokens_out, 8);
  EXPECT_EQ(plan.layers[8].kv_len, 8);
}

TEST(FastKvPlanTest, PromptsNoLongerThanTheWindowAreKeptWhole) {
  for (int64_t prompt : {1, 2, 7, 8}) {
    const PrefillPlan plan = PlanOf({}, prompt);
    for (const LayerPlan& layer : plan.layers) {
      EXPECT_TRUE(layer.keeps_all());
      EXPECT_FALSE(layer.cuts());
      EXPECT_FALSE(layer.observation.any());
    }
  }
}

TEST(FastKvPlanTest, ATokenBudgetAboveTheLengthSkipsTheCutToo) {
  const MethodConfig config{.kv = Budget::Tokens(512), .tsp = Budget::Tokens(256)};
  EXPECT_EQ(PlanOf(config, 511).CutLayer(), -1);
  // At equality the published code goes on to the cut.
  const PrefillPlan equal = PlanOf(config, 512);
  EXPECT_EQ(equal.CutLayer(), 7);
  EXPECT_TRUE(equal.layers[7].keeps_all());
  EXPECT_EQ(equal.layers[8].tokens_in, 256);
  EXPECT_EQ(equal.layers[8].kv_len, 256);
}

TEST(FastKvPlanTest, MixedBudgetsCountTheOriginalPrompt) {
  const PrefillPlan share_and_tokens =
      PlanOf({.kv = Budget::Rate(0.1), .tsp = Budget::Tokens(2048)}, 10000);
  EXPECT_EQ(share_and_tokens.layers[0].kv_len, 1000);
  EXPECT_EQ(share_and_tokens.layers[15].tokens_in, 2048);
  EXPECT_EQ(share_and_tokens.layers[15].kv_len, 1000);
  const PrefillPlan tokens_and_share =
      PlanOf({.kv = Budget::Tokens(700), .tsp = Budget::Rate(0.2)}, 10000);
  EXPECT_EQ(tokens_and_share.layers[0].kv_len, 700);
  EXPECT_EQ(tokens_and_share.layers[15].kv_len, 700);
}

TEST(FastKvPlanTest, LateLayersKeepAllWhenMoreIsKeptThanPropagated) {
  const PrefillPlan plan = PlanOf({.kv = Budget::Rate(0.5), .tsp = Budget::Rate(0.2)}, 1000);
  EXPECT_EQ(plan.layers[0].kv_len, 500);
  EXPECT_EQ(plan.layers[8].tokens_in, 200);
  EXPECT_EQ(plan.layers[8].kv_len, 200);
}

TEST(FastKvPlanTest, FullSharesKeepAndPropagateEverything) {
  const PrefillPlan plan = PlanOf({.kv = Budget::Rate(1), .tsp = Budget::Rate(1)}, 1000);
  for (const LayerPlan& layer : plan.layers) {
    EXPECT_TRUE(layer.keeps_all());
    EXPECT_FALSE(layer.cuts());
  }
}

TEST(FastKvPlanTest, CutAndRetentionAreIndependent) {
  const PrefillPlan plan = PlanOf({.kv = Budget::Rate(1), .tsp = Budget::Rate(0.2)}, 1000);
  EXPECT_EQ(plan.CutLayer(), 7);
  EXPECT_TRUE(plan.layers[7].keeps_all());
  EXPECT_EQ(plan.layers[8].kv_len, 200);
}

TEST(MethodRegistryTest, DefaultTspLayersAreThePublishedOnes) {
  for (const auto& [num_layers, layer] : {std::pair{32, 15}, {36, 17}, {40, 19}, {16, 7}}) {
    ModelShape shape = kSixteenLayers;
    shape.num_layers = num_layers;
    EXPECT_EQ(PlanOf({}, 1000, shape).CutLayer(), layer);
  }
}

TEST(MethodRegistryTest, RefusesWhatNoPlanCanFollow) {
  const auto message = [](const MethodConfig& config) {
    const auto method = CreateMethod(config, kSixteenLayers);
    EXPECT_FALSE(method.ok());
    EXPECT_EQ(method.status().code(), StatusCode::kInvalidArgument);
    return method.status().message();
  };
  EXPECT_THAT(message({.name = "fastkw"}), HasSubstr("known methods: full, fastkv"));
  EXPECT_THAT(message({.kv = Budget::Rate(0)}), HasSubstr("--kv-rate"));
  EXPECT_THAT(message({.kv = Budget::Rate(1.5)}), HasSubstr("--kv-rate"));
  EXPECT_THAT(message({.kv = Budget::Rate(NAN)}), HasSubstr("--kv-rate"));
  EXPECT_THAT(message({.kv = Budget::Tokens(0)}), HasSubstr("--kv-tokens"));
  EXPECT_THAT(message({.tsp = Budget::Rate(-1)}), HasSubstr("--tsp-rate"));
  EXPECT_THAT(message({.tsp_layer = 15}), HasSubstr("give 0 to 14"));
  EXPECT_THAT(message({.tsp_layer = -1}), HasSubstr("--tsp-layer"));
  EXPECT_THAT(message({.window = 0}), HasSubstr("--window"));
  EXPECT_THAT(message({.kernel = 4}), HasSubstr("odd"));
}

// The layer of toy_layer.h, its window 3 and its kernel 3.
class ToyLayerTest : public ::testing::Test {
 protected:
  static constexpr int64_t kWindow = 3;

  ToyLayer::Selected Run(const MethodConfig& config) { return layer_.Run(config); }

  MethodConfig Config(int64_t capacity, PoolingKind pooling) {
    return {.name = "fastkv",
            .kv = Budget::Tokens(capacity),
            .tsp = Budget::Tokens(12),
            .tsp_layer = 0,
            .window = kWindow,
            .kernel = 3,
            .pooling = pooling};
  }

  ToyLayer layer_;
};

TEST_F(ToyLayerTest, MaxPoolingKeepsThePublishedSets) {
  const ToyLayer::Selected selected = Run(Config(10, PoolingKind::kMax));
  EXPECT_THAT(selected.kept[0], ElementsAre(8, 9, 10, 11, 12, 19, 20, 21, 22, 23));
  EXPECT_THAT(selected.kept[1], ElementsAre(0, 1, 2, 11, 12, 13, 14, 21, 22, 23));
  EXPECT_THAT(selected.propagated, ElementsAre(0, 1, 2, 8, 9, 10, 11, 12, 13, 21, 22, 23));
}

TEST_F(ToyLayerTest, AveragePoolingKeepsThePublishedSets) {
  const ToyLayer::Selected selected = Run(Config(10, PoolingKind::kAverage));
  EXPECT_THAT(selected.kept[0], ElementsAre(1, 8, 9, 10, 11, 12, 19, 21, 22, 23));
  EXPECT_THAT(selected.kept[1], ElementsAre(0, 1, 2, 11, 12, 13, 14, 21, 22, 23));
}

TEST_F(ToyLayerTest, TiesGoToTheLowerIndex) {
  const ToyLayer::Selected selected = Run(Config(9, PoolingKind::kMax));
  EXPECT_THAT(selected.kept[0], ElementsAre(8, 9, 10, 11, 12, 19, 21, 22, 23));
}

TEST_F(ToyLayerTest, SnapKvKeepsWhatFastKvKeepsBeforeItsCut) {
  MethodConfig config = Config(10, PoolingKind::kMax);
  const ToyLayer::Selected fastkv = Run(config);
  config.name = "snapkv";
  const ToyLayer::Selected snapkv = Run(config);
  EXPECT_EQ(fastkv.kept, snapkv.kept);
  EXPECT_TRUE(snapkv.propagated.empty());
}

}  // namespace
}  // namespace fastkv
