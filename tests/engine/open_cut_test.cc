// Cuts that are decided while the prompt is read: what a method may leave open, the engine settles.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "engine/prefill.h"
#include "method/composite_method.h"
#include "method/rules.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

constexpr int64_t kWindow = 8;
constexpr int64_t kKernel = 7;

// Layers that might cut, and how many tokens go on from each; -1: it decides not to.
struct Decisions {
  std::vector<std::pair<int64_t, int64_t>> at;
  CutPoint point = CutPoint::kAfterLayer;
};

// TSP's choice of tokens where the layers are decided from outside, one after another.
class DecidingSelector final : public Selector {
 public:
  explicit DecidingSelector(const Decisions& decisions) : decisions_(decisions) {}

  Status Select(const PrefillPlan& plan, int64_t layer, LayerObservation& observation,
                Selection& selection) override {
    if (selection.token_indices.empty()) return OkStatus();
    const auto& [decided_layer, tokens] = decisions_.at[next_++];
    EXPECT_EQ(decided_layer, layer);
    EXPECT_TRUE(plan.layers[layer].cut_is_open);
    selection.tokens_out = tokens < 0 ? plan.layers[layer].tokens_in : tokens;
    if (tokens < 0) return OkStatus();
    observation.SelectTop(observation.TokenScores(kWindow, kKernel, PoolingKind::kMax), kWindow,
                          TensorView(selection.token_indices.data(), DType::kI32, {1, tokens}));
    return OkStatus();
  }

 private:
  Decisions decisions_;
  size_t next_ = 0;
};

class DecidingRule final : public PropagationRule {
 public:
  explicit DecidingRule(Decisions decisions) : decisions_(std::move(decisions)) {}

  LayerCut CutAt(const CutRequest& request) const override {
    const auto found = std::find_if(decisions_.at.begin(), decisions_.at.end(),
                                    [&](const auto& at) { return at.first == request.layer; });
    if (found == decisions_.at.end()) return {};
    return {.tokens = request.tokens_in,
            .min_tokens = kWindow,
            .open = true,
            .point = decisions_.point,
            .observation = {.query_rows = kWindow}};
  }

  std::unique_ptr<Selector> NewSelector() const override {
    return std::make_unique<DecidingSelector>(decisions_);
  }

 private:
  Decisions decisions_;
};

struct CutRun {
  PrefillPlan first_plan;
  PrefillPlan plan;
  std::vector<float> logits;
  std::vector<std::vector<int32_t>> kept;  // [layer], of KV head 0
  std::optional<std::vector<int32_t>> propagated;
  int64_t kv_bytes = 0;
  bool flops_add_up = false;
};

class OpenCutTest : public ::testing::Test {
 protected:
  OpenCutTest()
      : engine_(LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/llama",
                                .device = "cpu",
                                .compute_type = ComputeType::kF32})) {
    for (int i = 0; i < 300; ++i) ids_.push_back((i * 131 + 17) % 500);
  }

  CutRun Run(const Method& method, int64_t block_tokens = 64) {
    CutRun run;
    run.first_plan = method.Plan(300).value();
    Result<std::unique_ptr<Prefill>> prefill = Prefill::Start(
        engine_->backend(), engine_->model(), method, ids_, {.block_tokens = block_tokens});
    EXPECT_TRUE(prefill.ok()) << prefill.status().message();
    double done = 0;
    while (!(*prefill)->done()) {
      const Status status = (*prefill)->Step();
      EXPECT_TRUE(status.ok()) << status.message();
      const PrefillProgress progress = (*prefill)->progress();
      EXPECT_GE(progress.done_flops, done);
      EXPECT_LE(progress.done_flops, progress.total_flops * 1.000001);
      done = progress.done_flops;
    }
    run.plan = (*prefill)->plan();
    run.propagated = (*prefill)->propagated();
    const Buffer logits = (*prefill)->TakeLogits();
    run.logits.resize(engine_->config().vocab_size);
    EXPECT_TRUE(
        engine_->backend().CopyToHost(run.logits.data(), logits.data(), logits.num_bytes()).ok());
    const KvCache cache = (*prefill)->TakeCache();
    run.kv_bytes = cache.bytes_held();
    for (int64_t i = 0; i < engine_->config().num_layers; ++i) {
      run.kept.push_back(cache.PositionsOf(i, 0).value());
    }
    return run;
  }

  std::unique_ptr<Method> Deciding(const Decisions& decisions) {
    const MethodConfig config{.name = "deciding", .kv = Budget::Tokens(50)};
    return std::make_unique<CompositeMethod>(config, ShapeOf(engine_->config()),
                                             std::make_unique<DecidingRule>(decisions),
                                             CreateSnapKvRule(config, ShapeOf(engine_->config())));
  }
  std::unique_ptr<Method> Known(const MethodConfig& config) {
    return CreateMethod(config, ShapeOf(engine_->config())).value();
  }

  static void ExpectSame(const CutRun& a, const CutRun& b) {
    EXPECT_EQ(a.logits, b.logits);
    EXPECT_EQ(a.kept, b.kept);
    EXPECT_EQ(a.propagated, b.propagated);
    EXPECT_EQ(a.kv_bytes, b.kv_bytes);
  }

  std::unique_ptr<Engine> engine_;
  std::vector<int32_t> ids_;
};

TEST_F(OpenCutTest, OnceDecidedItIsAFixedCut) {
  // 40 tokens go on and 50 entries would be kept: memory for the later layers shrinks with the
  // plan.
  const CutRun fixed =
      Run(*Known({.kv = Budget::Tokens(50), .tsp = Budget::Tokens(40), .tsp_layer = 3}));
  const CutRun open = Run(*Deciding({.at = {{2, -1}, {3, 40}}}));
  ExpectSame(open, fixed);
  EXPECT_TRUE(open.first_plan.layers[3].cut_is_open);
  EXPECT_EQ(open.first_plan.layers[4].tokens_in, 300);
  EXPECT_FALSE(open.plan.layers[3].cut_is_open);
  EXPECT_EQ(open.plan.layers[4].tokens_in, 40);
  EXPECT_EQ(open.plan.layers[5].kv_len, 40);
}

TEST_F(OpenCutTest, DecidingNotToCutLeavesEverything) {
  const CutRun none = Run(*Deciding({.at = {{1, -1}, {2, -1}, {4, -1}}}));
  ExpectSame(none, Run(*Known({.name = "snapkv", .kv = Budget::Tokens(50)})));
  EXPECT_EQ(none.plan.CutLayer(), -1);
}

TEST_F(OpenCutTest, SeveralLayersMayCut) {
  const CutRun run = Run(*Deciding({.at = {{1, 200}, {2, -1}, {3, 90}, {4, 30}}}));
  const std::vector<int64_t> tokens = {300, 300, 200, 200, 90, 30};
  for (size_t i = 0; i < tokens.size(); ++i) EXPECT_EQ(run.plan.layers[i].tokens_in, tokens[i]);
  ASSERT_TRUE(run.propagated.has_value());
  EXPECT_EQ(run.propagated->size(), 30U);
  // Each set is a part of the one before.
  EXPECT_EQ(run.kept[5], *run.propagated);
}

// The MLP works on each token alone, so that dropping tokens before or after it leaves the others
// equal but for the order of additions in blocks of other sizes.
TEST_F(OpenCutTest, CuttingBeforeTheMlpKeepsTheSameTokens) {
  for (const int64_t block_tokens : {64, 100, 300}) {
    const CutRun after = Run(*Deciding({.at = {{2, 64}}}), block_tokens);
    const CutRun before =
        Run(*Deciding({.at = {{2, 64}}, .point = CutPoint::kBeforeMlp}), block_tokens);
    EXPECT_EQ(before.kept, after.kept);
    EXPECT_EQ(before.propagated, after.propagated);
    EXPECT_LT(LargestRelativeError(before.logits, after.logits), 2e-5);
    const ModelConfig& config = engine_->config();
    EXPECT_DOUBLE_EQ(PrefillFlops(config, after.plan, 8) - PrefillFlops(config, before.plan, 8),
                     MlpFlops(config, 300 - 64));
  }
  const CutRun none = Run(*Deciding({.at = {{2, -1}}, .point = CutPoint::kBeforeMlp}));
  ExpectSame(none, Run(*Known({.name = "snapkv", .kv = Budget::Tokens(50)})));
}

TEST_F(OpenCutTest, PlansAreReplayedFromDecisions) {
  const auto method = Deciding({.at = {{1, 200}, {3, 90}}});
  const std::vector<CutDecision> decided = {{1, 200}};
  const PrefillPlan plan = method->Plan(300, decided).value();
  EXPECT_FALSE(plan.layers[1].cut_is_open);
  EXPECT_EQ(plan.layers[2].tokens_in, 200);
  EXPECT_TRUE(plan.layers[3].cut_is_open);
  EXPECT_EQ(plan.layers[3].cut_tokens, 200);
  EXPECT_EQ(plan.layers[5].tokens_in, 200);
}

}  // namespace
}  // namespace fastkv
