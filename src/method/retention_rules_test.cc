// What each rule keeps of the layer of toy_layer.h, against published selections, and the budgets
// it gives to the layers of whole models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "method/method.h"
#include "method/toy_layer.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;

// The entries before the window of 3.
std::vector<std::vector<int32_t>> PastOf(std::vector<std::vector<int32_t>> kept) {
  for (std::vector<int32_t>& head : kept) {
    EXPECT_GE(head.size(), 3U);
    EXPECT_THAT(std::vector<int32_t>(head.end() - 3, head.end()), ElementsAre(21, 22, 23));
    head.resize(head.size() - 3);
  }
  return kept;
}

MethodConfig ToyConfig(const std::string& name, int64_t capacity) {
  return {.name = name, .kv = Budget::Tokens(capacity), .window = 3, .kernel = 3};
}

TEST(SnapKvRuleTest, AHeadForEachQueryHeadSelectsAsPublished) {
  const auto kept = ToyLayer(/*num_kv_heads=*/4).Run(ToyConfig("snapkv", 10)).kept;
  EXPECT_THAT(
      PastOf(kept),
      ElementsAre(ElementsAre(7, 8, 9, 10, 11, 19, 20), ElementsAre(0, 1, 8, 9, 10, 11, 12),
                  ElementsAre(0, 1, 2, 10, 11, 12, 13), ElementsAre(0, 1, 2, 3, 12, 13, 14)));
}

TEST(H2oRuleTest, SumsCausalAttentionOfAllRows) {
  const auto kept = ToyLayer(/*num_kv_heads=*/4).Run(ToyConfig("h2o", 8)).kept;
  EXPECT_THAT(PastOf(kept), ElementsAre(ElementsAre(0, 1, 4, 5, 6), ElementsAre(0, 1, 4, 5, 6),
                                        ElementsAre(0, 1, 3, 4, 5), ElementsAre(0, 1, 3, 4, 5)));
}

TEST(GemFilterTest, KeepsThePublishedTokens) {
  MethodConfig config = ToyConfig("gemfilter", 8);
  config.filter_layer = 0;
  const auto selected = ToyLayer().Run(config);
  EXPECT_THAT(selected.propagated, ElementsAre(0, 1, 2, 10, 11, 12, 13, 14));
  EXPECT_TRUE(selected.kept.empty());
}

TEST(StreamingLlmRuleTest, KeepsTheFirstAndTheLast) {
  MethodConfig config = ToyConfig("streamingllm", 7);
  EXPECT_THAT(ToyLayer().Run(config).kept, ElementsAre(ElementsAre(0, 1, 2, 3, 21, 22, 23),
                                                       ElementsAre(0, 1, 2, 3, 21, 22, 23)));
  config.kv = Budget::Tokens(3);  // fewer than there are sinks
  EXPECT_THAT(ToyLayer().Run(config).kept, ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0, 1, 2)));
}

TEST(StreamingLlmRuleTest, ProtectedTokensTakeThePlaceOfTheOldestRecentOnes) {
  MethodConfig config = ToyConfig("streamingllm", 8);
  config.protect = {{2, 6}, {10, 11}};
  EXPECT_THAT(ToyLayer().Run(config).kept[0], ElementsAre(0, 1, 2, 3, 4, 5, 10, 23));
  config.kv = Budget::Tokens(6);  // sinks give way as well
  EXPECT_THAT(ToyLayer().Run(config).kept[0], ElementsAre(0, 2, 3, 4, 5, 10));
}

TEST(TovaRuleTest, AllHeadsKeepOneSetAndTheLastToken) {
  const auto kept = ToyLayer().Run(ToyConfig("tova", 6)).kept;
  EXPECT_EQ(kept[0], kept[1]);
  EXPECT_EQ(kept[0].size(), 6U);
  EXPECT_EQ(kept[0].back(), 23);
  EXPECT_THAT(ToyLayer().Run(ToyConfig("tova", 1)).kept[0], ElementsAre(23));
}

TEST(AdaKvRuleTest, HeadsShareTheBudgetByTheirBestEntries) {
  const auto past = [](int64_t capacity, double alpha) {
    MethodConfig config = ToyConfig("adakv", capacity);
    config.adakv_alpha = alpha;
    return PastOf(ToyLayer().Run(config).kept);
  };
  const auto sizes = [&](int64_t capacity, double alpha) {
    const auto kept = past(capacity, alpha);
    return std::vector<size_t>{kept[0].size(), kept[1].size()};
  };
  // Of the best 2 * 5 entries, 3 and 7 belong to the heads; all of a budget of 5 guaranteed: 5
  // each.
  EXPECT_THAT(sizes(8, 0), ElementsAre(3, 7));
  EXPECT_THAT(sizes(8, 1), ElementsAre(5, 5));
  // 0.8 * 3 + 1 and 0.8 * 7 + 1, rounded; 0.8 * 3 and 0.8 * 5, with nothing guaranteed of 4.
  EXPECT_THAT(sizes(8, 0.2), ElementsAre(3, 7));
  EXPECT_THAT(sizes(7, 0.2), ElementsAre(2, 4));
  EXPECT_THAT(sizes(4, 0.2), ElementsAre(2, 0));
  // Each head keeps its best.
  const auto few = past(7, 0.2);
  const auto more = past(8, 0.2);
  for (size_t head = 0; head < 2; ++head) {
    EXPECT_TRUE(
        std::includes(more[head].begin(), more[head].end(), few[head].begin(), few[head].end()));
  }
}

TEST(AdaKvRuleTest, EveryHeadHoldsTheProtectedTokens) {
  MethodConfig config = ToyConfig("adakv", 10);
  config.adakv_alpha = 0.13;
  config.protect = {{3, 10}};  // as many as the budget holds beside the window
  for (const auto& head : PastOf(ToyLayer().Run(config).kept)) {
    EXPECT_THAT(head, ElementsAre(3, 4, 5, 6, 7, 8, 9));
  }
}

PrefillPlan PlanOf(const MethodConfig& config, int64_t num_layers, int64_t prompt_tokens) {
  const ModelShape shape = {
      .num_layers = num_layers, .num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128};
  auto method = CreateMethod(config, shape);
  EXPECT_TRUE(method.ok()) << method.status().message();
  Result<PrefillPlan> plan = (*method)->Plan(prompt_tokens);
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  return *plan;
}

std::vector<int64_t> KeptOf(const PrefillPlan& plan) {
  std::vector<int64_t> kept;
  for (const LayerPlan& layer : plan.layers) kept.push_back(layer.kv_len);
  return kept;
}

TEST(PyramidKvRuleTest, BudgetsFallAsPublished) {
  const std::vector<int64_t> kept =
      KeptOf(PlanOf({.name = "pyramidkv", .kv = Budget::Tokens(512)}, 32, 8192));
  for (int64_t l = 0; l < 32; ++l) EXPECT_EQ(kept[l], 983 - 30 * l + 8) << l;
  EXPECT_EQ(std::accumulate(kept.begin(), kept.end(), int64_t{0}) / 32 - 8, 518);
}

TEST(PyramidKvRuleTest, ShortPromptsHaveOneBudget) {
  const MethodConfig config{.name = "pyramidkv", .kv = Budget::Tokens(512)};
  for (const int64_t kept : KeptOf(PlanOf(config, 32, 511))) EXPECT_EQ(kept, 511);
  for (const int64_t kept : KeptOf(PlanOf(config, 32, 1007))) EXPECT_EQ(kept, 512);
  EXPECT_GT(KeptOf(PlanOf(config, 32, 1008))[0], 512);
  EXPECT_EQ(KeptOf(PlanOf(config, 1, 8192))[0], 512);
}

TEST(PyramidKvRuleTest, LateLayersBehindACutCountTheirOwnTokens) {
  const PrefillPlan plan = PlanOf({.tsp_layer = 15, .retention = "pyramidkv"}, 32, 10000);
  // Budget 1000 of 10000: b = 992, from 2 * 992 - 49 in steps of (1935 - 49) / 31.
  EXPECT_EQ(plan.layers[0].kv_len, 1935 + 8);
  EXPECT_EQ(plan.layers[15].kv_len, 1935 - 15 * 60 + 8);
  // Behind it 1000 of 2000 and l counted on.
  EXPECT_EQ(plan.layers[16].tokens_in, 2000);
  EXPECT_EQ(plan.layers[16].kv_len, 1935 - 16 * 60 + 8);
}

TEST(PyramidInferTest, TokensFallAsPublished) {
  const auto tokens_of = [](double decay, double recent) {
    const PrefillPlan plan =
        PlanOf({.name = "pyramidinfer", .recent_ratio = recent, .decay_ratio = decay}, 32, 4000);
    std::vector<int64_t> tokens;
    for (const LayerPlan& layer : plan.layers) {
      EXPECT_TRUE(layer.keeps_all());
      tokens.push_back(layer.tokens_in);
    }
    EXPECT_TRUE(plan.falls_gradually);
    return tokens;
  };
  std::vector<int64_t> steep = {4000, 4000, 3990, 3952, 3868, 3723, 3507, 3217, 2860,
                                2451, 2014, 1579, 1176, 829,  552,  348,  210};
  steep.resize(32, 126);
  EXPECT_EQ(tokens_of(0.01, 0.01), steep);
  std::vector<int64_t> flat = {4000, 4000, 3997, 3987, 3966, 3929, 3873, 3795, 3693,
                               3565, 3413, 3238, 3044, 2836, 2619, 2399, 2182, 1974,
                               1780, 1604, 1448, 1313, 1199, 1106, 1031, 972,  926};
  flat.resize(32, 891);
  EXPECT_EQ(tokens_of(0.7, 0.2), flat);
}

TEST(PyramidInferTest, ShortContextsAreLeftAlone) {
  for (const int64_t prompt : {1, 2, 40, 81}) {
    const PrefillPlan plan = PlanOf({.name = "pyramidinfer"}, 32, prompt);
    EXPECT_FALSE(plan.MayDrop()) << prompt;
    EXPECT_EQ(plan.eviction->recent_rows, prompt / 5 + 1);
  }
}

TEST(RetentionCapacityTest, RulesWithoutAWindowKeepAtLeastOne) {
  for (const char* name : {"streamingllm", "tova", "knorm", "keydiff", "expected-attention"}) {
    EXPECT_EQ(KeptOf(PlanOf({.name = name, .kv = Budget::Rate(0.1)}, 4, 9))[0], 1) << name;
    EXPECT_EQ(KeptOf(PlanOf({.name = name, .kv = Budget::Rate(0.1)}, 4, 1))[0], 1) << name;
  }
  EXPECT_EQ(KeptOf(PlanOf({.name = "gemfilter", .kv = Budget::Rate(0.1)}, 4, 9))[0], 1);
  EXPECT_EQ(KeptOf(PlanOf({.name = "h2o", .kv = Budget::Rate(0.1)}, 4, 40))[0], 8);
  EXPECT_EQ(KeptOf(PlanOf({.name = "adakv", .kv = Budget::Rate(0.1)}, 4, 40))[0], 32);
  EXPECT_EQ(KeptOf(PlanOf({.kv = Budget::Rate(0.1), .retention = "adakv"}, 4, 40))[0], 8);
}

}  // namespace
}  // namespace fastkv
