// What the propagation rules must equal, and that a decision made while a prompt runs can be
// replayed as a plan made beforehand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "method/adaptive_rules.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNewTokens = 8;

std::vector<int32_t> RandomIds(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.NextInt(512));
  return ids;
}

class PropagationTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Engine> Load(const std::string& device) {
    return LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/qwen3",
                           .device = device,
                           .compute_type = ComputeType::kF32});
  }
  static void SetUpTestSuite() { engine_ = Load("cpu"); }
  static void TearDownTestSuite() { engine_.reset(); }

  static TestRun Run(const std::vector<int32_t>& ids, const MethodConfig& method) {
    return RunPrompt(*engine_, ids, method, kNewTokens);
  }
  static void ExpectSame(const TestRun& a, const TestRun& b) {
    EXPECT_EQ(a.last_logits, b.last_logits);
    EXPECT_EQ(a.output_ids, b.output_ids);
    EXPECT_EQ(a.kept, b.kept);
    EXPECT_EQ(a.prefill.propagated, b.prefill.propagated);
    for (size_t i = 0; i < a.prefill.plan.layers.size(); ++i) {
      EXPECT_EQ(a.prefill.plan.layers[i].tokens_in, b.prefill.plan.layers[i].tokens_in);
      EXPECT_EQ(a.prefill.plan.layers[i].kv_len, b.prefill.plan.layers[i].kv_len);
    }
  }
  static MethodConfig WithRule(const PropagationConfig& propagation) {
    return {.propagation = propagation};
  }

  static std::unique_ptr<Engine> engine_;
};

std::unique_ptr<Engine> PropagationTest::engine_;

TEST_F(PropagationTest, AslThatDecidesAtOnceIsFastKvAtItsFirstLayer) {
  for (const int64_t layer : {1, 3}) {
    const std::vector<int32_t> ids = RandomIds(400, 7);
    MethodConfig asl = WithRule({.rule = "asl", .first_layer = layer, .agreement_threshold = 1.5});
    const MethodConfig fastkv = {
        .tsp_layer = layer, .window = 32, .pooling = PoolingKind::kAverage};
    ExpectSame(Run(ids, asl), Run(ids, fastkv));
    asl.window = 8;
    asl.pooling = PoolingKind::kMax;
    ExpectSame(Run(ids, asl), Run(ids, {.tsp_layer = layer}));
  }
}

TEST_F(PropagationTest, AslThatNeverDecidesPropagatesEverything) {
  const std::vector<int32_t> ids = RandomIds(400, 7);
  MethodConfig asl = WithRule({.rule = "asl", .agreement_threshold = 0});
  asl.kv = Budget::Rate(1);
  ExpectSame(Run(ids, asl), Run(ids, {.name = "full"}));
}

TEST_F(PropagationTest, AslCutsWhereFastKvCanReplayIt) {
  bool cut_late = false;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const std::vector<int32_t> ids = RandomIds(300, seed);
    const TestRun asl = Run(
        ids,
        WithRule(
            {.rule = "asl", .first_layer = 1, .agreement_layers = 2, .agreement_threshold = 0.97}));
    const int64_t layer = asl.prefill.plan.CutLayer();
    if (layer < 0) continue;
    cut_late = cut_late || layer > 1;
    ExpectSame(asl, Run(ids, {.tsp_layer = layer, .window = 32, .pooling = PoolingKind::kAverage}));
  }
  EXPECT_TRUE(cut_late) << "no prompt was cut behind a later layer; the test shows nothing";
}

TEST_F(PropagationTest, ClaaOfOneLayerWithHeadsAddedIsFastKv) {
  const std::vector<int32_t> ids = RandomIds(400, 8);
  MethodConfig claa =
      WithRule({.rule = "claa", .votes = 1, .standard_scores = false, .add_heads = true});
  claa.pooling = PoolingKind::kMax;
  ExpectSame(Run(ids, claa), Run(ids, {}));
  // With its own settings it is another choice.
  EXPECT_NE(Run(ids, WithRule({.rule = "claa"})).prefill.propagated,
            Run(ids, {}).prefill.propagated);
}

TEST_F(PropagationTest, ScheduleOfOneCutIsFastKv) {
  const std::vector<int32_t> ids = RandomIds(400, 9);
  ExpectSame(Run(ids, WithRule({.rule = "schedule", .layers = {2}, .rates = {0.3}})),
             Run(ids, {.tsp = Budget::Rate(0.3), .tsp_layer = 2}));
}

TEST_F(PropagationTest, ScheduleFallsStepByStep) {
  const TestRun run = Run(RandomIds(400, 9),
                          WithRule({.rule = "schedule", .layers = {1, 3}, .rates = {0.5, 0.25}}));
  const std::vector<LayerPlan>& layers = run.prefill.plan.layers;
  EXPECT_EQ(layers[1].tokens_in, 400);
  EXPECT_EQ(layers[2].tokens_in, 200);
  EXPECT_EQ(layers[4].tokens_in, 100);
  for (const LayerPlan& layer : layers) EXPECT_EQ(layer.kv_len, 40);
  // A budget above what the first cut left stops the second no more than a small one does.
  MethodConfig keeps_all = WithRule({.rule = "schedule", .layers = {1, 3}, .rates = {0.5, 0.25}});
  keeps_all.kv = Budget::Rate(1);
  const std::vector<LayerPlan> all = Run(RandomIds(400, 9), keeps_all).prefill.plan.layers;
  EXPECT_EQ(all[4].tokens_in, 100);
  EXPECT_EQ(all[4].kv_len, 100);
}

TEST_F(PropagationTest, MassBetweenEqualBoundsIsFastKv) {
  const std::vector<int32_t> ids = RandomIds(400, 10);
  for (const char* rule : {"mass", "entropy"}) {
    ExpectSame(Run(ids, WithRule({.rule = rule, .min_rate = 0.2})), Run(ids, {}));
  }
}

TEST_F(PropagationTest, MassDecidesANumberThatFastKvCanReplay) {
  const std::vector<int32_t> ids = RandomIds(1500, 11);
  for (const char* rule : {"mass", "entropy"}) {
    MethodConfig method = WithRule({.rule = rule, .mass = 0.4, .entropy_factor = 0.2});
    method.tsp = Budget::Rate(0.8);
    const TestRun run = Run(ids, method);
    const int64_t layer = run.prefill.plan.CutLayer();
    ASSERT_GE(layer, 0);
    const int64_t tokens_out = run.prefill.plan.layers[layer].tokens_out;
    EXPECT_GT(tokens_out, 75);    // more than the least
    EXPECT_LT(tokens_out, 1200);  // fewer than the most
    EXPECT_EQ(tokens_out % 64, 0);
    ExpectSame(run, Run(ids, {.tsp = Budget::Tokens(tokens_out)}));
  }
}

TEST_F(PropagationTest, MassLeavesRoomForProtectedTokens) {
  MethodConfig method = WithRule({.rule = "mass", .mass = 0.01, .min_rate = 0});
  method.kv = Budget::Rate(1);
  method.tsp = Budget::Rate(0.9);
  method.protect = {{100, 300}};
  const TestRun run = Run(RandomIds(600, 11), method);
  ASSERT_TRUE(run.prefill.propagated.has_value());
  const std::vector<int32_t>& propagated = *run.prefill.propagated;
  EXPECT_EQ(propagated.size(), 208u);  // the protected ones and the window
  for (int32_t i = 0; i < 200; ++i) EXPECT_EQ(propagated[static_cast<size_t>(i)], 100 + i);
}

TEST_F(PropagationTest, MoreMassLetsMoreTokensThrough) {
  int64_t before = 0;
  for (const double mass : {0.3, 0.5, 0.7}) {
    MethodConfig method = WithRule({.rule = "mass", .mass = mass});
    method.tsp = Budget::Rate(0.9);
    const TestRun run = Run(RandomIds(1500, 11), method);
    const int64_t tokens_out = run.prefill.plan.layers[run.prefill.plan.CutLayer()].tokens_out;
    EXPECT_GT(tokens_out, before);
    before = tokens_out;
  }
}

TEST_F(PropagationTest, UniPrefillDropsBlocksAndKeepsItsEdges) {
  const std::vector<int32_t> ids = RandomIds(400, 12);
  MethodConfig method = WithRule({.rule = "uniprefill",
                                  .layers = {1, 3},
                                  .block_mass = 0.3,
                                  .block_tokens = 16,
                                  .block_sinks = 20,
                                  .block_window = 24});
  method.kv = Budget::Rate(1);
  const TestRun run = Run(ids, method);
  const std::vector<LayerPlan>& layers = run.prefill.plan.layers;
  EXPECT_EQ(layers[1].tokens_in, 400);
  EXPECT_LT(layers[2].tokens_in, 400);
  EXPECT_LT(layers[4].tokens_in, layers[2].tokens_in);
  // The layer that drops still stored every entry.
  EXPECT_EQ(run.kept[1][0].size(), 400u);
  const std::vector<int32_t>& kept = run.kept[5][0];
  for (int32_t j = 0; j < 20; ++j) EXPECT_EQ(kept[static_cast<size_t>(j)], j);
  for (int32_t j = 0; j < 24; ++j) {
    EXPECT_EQ(kept[kept.size() - 24 + static_cast<size_t>(j)], 376 + j);
  }
  // What is left of the middle comes in blocks: the first cut's, whole.
  const std::vector<int32_t>& middle = run.kept[2][0];
  for (const int32_t position : middle) {
    if (position < 32 || position >= 368) continue;
    const int32_t block = position / 16 * 16;
    EXPECT_TRUE(std::binary_search(middle.begin(), middle.end(), block)) << position;
    EXPECT_TRUE(std::binary_search(middle.begin(), middle.end(), block + 15)) << position;
  }
}

TEST_F(PropagationTest, UniPrefillOfAllMassIsFull) {
  const std::vector<int32_t> ids = RandomIds(400, 12);
  MethodConfig method =
      WithRule({.rule = "uniprefill", .layers = {1, 3}, .block_mass = 1, .block_tokens = 16});
  method.kv = Budget::Rate(1);
  ExpectSame(Run(ids, method), Run(ids, {.name = "full"}));
}

TEST_F(PropagationTest, PromptDistillKeepsTheLastToken) {
  MethodConfig method = WithRule({.rule = "promptdistill", .layers = {1, 3}});
  method.tsp = Budget::Tokens(50);
  const TestRun run = Run(RandomIds(300, 13), method);
  EXPECT_EQ(run.prefill.plan.layers[2].tokens_in, 50);
  // The second cut has as many tokens as it may let through, and cuts nothing.
  EXPECT_EQ(run.prefill.plan.layers[4].tokens_in, 50);
  EXPECT_EQ(run.kept[5][0].back(), 299);
}

TEST_F(PropagationTest, BackEndsDecideAlike) {
  const auto reference = Load("reference");
  const std::vector<int32_t> ids = RandomIds(250, 14);
  for (const PropagationConfig& propagation :
       {PropagationConfig{.rule = "asl", .first_layer = 1, .agreement_threshold = 0.97},
        PropagationConfig{.rule = "claa"}, PropagationConfig{.rule = "mass", .mass = 0.4},
        PropagationConfig{.rule = "entropy", .entropy_factor = 0.2},
        PropagationConfig{.rule = "promptdistill"},
        PropagationConfig{.rule = "schedule", .layers = {1, 3}, .rates = {0.5, 0.25}},
        PropagationConfig{.rule = "uniprefill",
        .layers = {1, 3},
        .block_mass = 0.6,
        .block_tokens = 16,
        .block_sinks = 8,
        .block_window = 8}}) {
    SCOPED_TRACE(propagation.rule);
    MethodConfig method = WithRule(propagation);
    method.kv = Budget::Rate(1);
    method.tsp = Budget::Rate(0.6);
    const TestRun fast = Run(ids, method);
    const TestRun slow = RunPrompt(*reference, ids, method, kNewTokens);
    EXPECT_EQ(fast.kept, slow.kept);
    EXPECT_EQ(fast.prefill.propagated, slow.prefill.propagated);
    EXPECT_LT(LargestRelativeError(fast.last_logits, slow.last_logits), 1e-4);
    EXPECT_TRUE(fast.prefill.dropped_anything());
  }
}

TEST_F(PropagationTest, EveryRuleGoesWithEveryRetentionRule) {
  const std::vector<int32_t> ids = RandomIds(300, 15);
  for (const std::string& rule : PropagationNames()) {
    for (const std::string& retention : RetentionNames()) {
      SCOPED_TRACE(rule + " " + retention);
      MethodConfig method = WithRule({.rule = rule});
      if (rule == "schedule") {
        method.propagation.layers = {1, 3};
        method.propagation.rates = {0.5, 0.25};
      }
      method.retention = retention;
      const TestRun beside_tsp = Run(ids, method);
      method.name = retention;
      method.propagate = true;
      ExpectSame(Run(ids, method), beside_tsp);
    }
  }
}

TEST_F(PropagationTest, RefusesWhatNoRuleCanFollow) {
  const auto message = [&](const PropagationConfig& propagation,
                           std::optional<int64_t> tsp_layer = std::nullopt) {
    MethodConfig method = WithRule(propagation);
    method.tsp_layer = tsp_layer;
    const auto made = CreateMethod(
        method, {.num_layers = 16, .num_q_heads = 8, .num_kv_heads = 2, .head_dim = 64});
    EXPECT_FALSE(made.ok());
    EXPECT_EQ(made.status().code(), StatusCode::kInvalidArgument);
    return made.ok() ? "" : made.status().message();
  };
  EXPECT_THAT(message({.rule = "clas"}), HasSubstr("known rules: fastkv, schedule"));
  EXPECT_THAT(message({.rule = "schedule"}), HasSubstr("one share for each layer"));
  EXPECT_THAT(message({.rule = "schedule", .layers = {3, 5}, .rates = {0.5}}),
              HasSubstr("--tsp-layers names 2"));
  EXPECT_THAT(message({.rule = "schedule", .layers = {3, 5}, .rates = {0.2, 0.5}}),
              HasSubstr("--tsp-rates"));
  EXPECT_THAT(message({.rule = "schedule", .layers = {3, 5}, .rates = {0.2, 0}}),
              HasSubstr("--tsp-rates"));
  EXPECT_THAT(message({.rule = "schedule", .layers = {5, 3}, .rates = {0.5, 0.2}}),
              HasSubstr("rising layers"));
  EXPECT_THAT(message({.rule = "uniprefill", .layers = {15}}),
              HasSubstr("give layers from 0 to 14"));
  EXPECT_THAT(message({.rule = "uniprefill", .block_mass = 1.5}), HasSubstr("--block-mass"));
  EXPECT_THAT(message({.rule = "uniprefill", .block_tokens = 0}), HasSubstr("--block-size"));
  EXPECT_THAT(message({.rule = "uniprefill", .block_sinks = -1}), HasSubstr("--block-sinks"));
  EXPECT_THAT(message({.rule = "uniprefill", .block_window = 0}), HasSubstr("--block-window"));
  EXPECT_THAT(message({.rule = "asl", .first_layer = 15}), HasSubstr("--asl-first-layer"));
  EXPECT_THAT(message({.rule = "asl", .first_layer = 3, .agreement_layers = 5}),
              HasSubstr("give 1 to 4"));
  EXPECT_THAT(message({.rule = "asl", .agreement_threshold = -1}), HasSubstr("--asl-threshold"));
  EXPECT_THAT(message({.rule = "claa", .votes = 0}), HasSubstr("--tsp-votes"));
  EXPECT_THAT(message({.rule = "claa", .votes = 5}, 3), HasSubstr("give 1 to 4"));
  EXPECT_THAT(message({.rule = "mass", .mass = 1.1}), HasSubstr("--tsp-mass"));
  EXPECT_THAT(message({.rule = "mass", .min_rate = -0.1}), HasSubstr("--tsp-min-rate"));
  EXPECT_THAT(message({.rule = "entropy", .entropy_factor = 0}), HasSubstr("--tsp-entropy"));
}

TEST_F(PropagationTest, DefaultLayersFollowTheDepth) {
  const auto shape = [](int64_t num_layers) { return ModelShape{.num_layers = num_layers}; };
  const MethodConfig asl = WithRule({.rule = "asl"});
  EXPECT_EQ(RankAgreementOptionsOf(asl, shape(32)).first_layer, 10);
  EXPECT_EQ(RankAgreementOptionsOf(asl, shape(32)).num_layers, 8);
  EXPECT_EQ(RankAgreementOptionsOf(asl, shape(80)).first_layer, 10);
  EXPECT_EQ(RankAgreementOptionsOf(asl, shape(16)).first_layer, 5);
  EXPECT_EQ(RankAgreementOptionsOf(asl, shape(16)).num_layers, 6);
  EXPECT_EQ(CutLayersOf(WithRule({.rule = "uniprefill"}), shape(32)),
            (std::vector<int64_t>{7, 11, 15, 19, 23, 27}));
  EXPECT_EQ(CutLayersOf(WithRule({.rule = "uniprefill"}), shape(16)),
            (std::vector<int64_t>{3, 7, 11}));
  EXPECT_EQ(CutLayersOf(WithRule({.rule = "uniprefill"}), shape(6)), std::vector<int64_t>{2});
  EXPECT_EQ(CutLayersOf(WithRule({.rule = "promptdistill"}), shape(32)), std::vector<int64_t>{13});
  EXPECT_EQ(CutLayersOf(WithRule({.rule = "promptdistill"}), shape(16)), std::vector<int64_t>{6});
}

}  // namespace
}  // namespace fastkv
