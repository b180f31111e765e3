// What every method must keep to, whatever it selects: method.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <span>
#include <string>

#include "base/random.h"
#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "method/adaptive_rules.h"
#include "method/query_agnostic.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

constexpr int64_t kNewTokens = 12;

std::vector<int32_t> RandomIds(int64_t count, uint64_t seed, int64_t vocab_size) {
  Random random(seed);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.NextInt(vocab_size));
  return ids;
}

std::unique_ptr<Engine> LoadTiny(const std::string& family, int num_threads = 0) {
  return LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/" + family,
                         .device = "cpu",
                         .num_threads = num_threads,
                         .compute_type = ComputeType::kF32});
}

void ExpectSameRun(const TestRun& a, const TestRun& b) {
  EXPECT_EQ(a.last_logits, b.last_logits);
  EXPECT_EQ(a.output_ids, b.output_ids);
  EXPECT_EQ(a.kept, b.kept);
  EXPECT_EQ(a.kv_len_after_decode, b.kv_len_after_decode);
  EXPECT_EQ(a.prefill.propagated, b.prefill.propagated);
}

// A propagation rule with settings under which a model of six layers cuts a prompt of a few hundred
// tokens.
PropagationConfig SmallPropagation(const std::string& rule) {
  PropagationConfig config;
  config.rule = rule;
  if (rule == "schedule" || rule == "uniprefill") config.layers = {1, 3};
  if (rule == "schedule") config.rates = {0.5, 0.2};
  config.agreement_threshold = 0.9;
  config.mass = 0.6;
  config.entropy_factor = 0.3;
  config.block_mass = 0.6;
  config.block_tokens = 16;
  config.block_sinks = 8;
  config.block_window = 8;
  return config;
}

// Every method by itself, every retention rule beside TSP, and every propagation rule.
std::vector<MethodConfig> AllMethods() {
  std::vector<MethodConfig> methods;
  for (const std::string& name : MethodNames()) methods.push_back({.name = name});
  for (const std::string& name : RetentionNames()) {
    if (name != "snapkv") methods.push_back({.name = "fastkv", .retention = name});
  }
  for (const std::string& rule : PropagationNames()) {
    if (rule != "fastkv") methods.push_back({.propagation = SmallPropagation(rule)});
  }
  return methods;
}

std::string LabelOf(const ::testing::TestParamInfo<MethodConfig>& info) {
  std::string label = info.param.name;
  if (info.param.retention != "snapkv") label += "_" + info.param.retention;
  if (info.param.propagation.rule != "fastkv") label += "_" + info.param.propagation.rule;
  std::replace(label.begin(), label.end(), '-', '_');
  return label;
}

class MethodContractTest : public ::testing::TestWithParam<MethodConfig> {
 protected:
  static void SetUpTestSuite() { engine_ = LoadTiny("llama"); }
  static void TearDownTestSuite() { engine_.reset(); }

  MethodConfig Method() const { return GetParam(); }
  TestRun Run(const std::vector<int32_t>& ids, const MethodConfig& method,
              const PrefillOptions& options = {}) const {
    return RunPrompt(*engine_, ids, method, kNewTokens, options);
  }
  std::vector<int32_t> Ids(int64_t count, uint64_t seed = 1) const {
    return RandomIds(count, seed, engine_->config().vocab_size);
  }

  static std::unique_ptr<Engine> engine_;
};

std::unique_ptr<Engine> MethodContractTest::engine_;

TEST_P(MethodContractTest, ABudgetOfEverythingIsBitIdenticalToFull) {
  const std::vector<int32_t> ids = Ids(333);
  const TestRun full = Run(ids, {.name = "full"});
  for (const Budget& budget : {Budget::Rate(1), Budget::Tokens(333), Budget::Tokens(5000)}) {
    MethodConfig method = Method();
    method.kv = budget;
    method.tsp = Budget::Rate(1);
    method.propagation.rates.assign(method.propagation.layers.size(), 1);
    method.propagation.block_mass = 1;
    method.decay_ratio = 1;
    method.decode_eviction = false;
    TestRun run = Run(ids, method);
    EXPECT_FALSE(run.prefill.dropped_anything());
    if (run.prefill.plan.renumbers) {
      std::vector<int32_t> all(ids.size());
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(run.prefill.propagated, all);
      run.prefill.propagated.reset();
    }
    ExpectSameRun(run, full);
  }
}

TEST_P(MethodContractTest, EveryLengthAroundItsLimitsWorks) {
  MethodConfig method = Method();
  method.kv = Budget::Tokens(20);
  method.tsp = Budget::Tokens(30);
  for (const int64_t length : {1, 2, 7, 8, 9, 19, 20, 21, 30, 31, 64}) {
    SCOPED_TRACE(length);
    const TestRun run = Run(Ids(length), method);
    // An end token may come before.
    EXPECT_GE(static_cast<int64_t>(run.output_ids.size()), 1);
    EXPECT_LE(static_cast<int64_t>(run.output_ids.size()), kNewTokens);
    for (const LayerPlan& layer : run.prefill.plan.layers) {
      EXPECT_LE(layer.kv_len, layer.tokens_in);
      EXPECT_LE(layer.tokens_out, layer.tokens_in);
    }
  }
}

// The last tokens of a prompt of 400 that a method keeps whatever their scores.
int64_t TailOf(const MethodConfig& method) {
  const std::string& rule = method.name == "fastkv" ? method.retention : method.name;
  if (rule == "knorm" || rule == "keydiff" || rule == "expected-attention" || rule == "gemfilter") {
    return 0;
  }
  if (rule == "tova" || method.propagation.rule == "promptdistill") return 1;
  if (rule == "pyramidinfer") return 81;
  return method.name == "adakv" ? 32 : 8;
}

TEST_P(MethodContractTest, KeptEntriesAreSortedAndHoldTheTail) {
  const int64_t length = 400;
  const TestRun run = Run(Ids(length), Method());
  const int64_t tail = TailOf(Method());
  for (size_t layer = 0; layer < run.kept.size(); ++layer) {
    const LayerPlan& plan = run.prefill.plan.layers[layer];
    const LayerReport& report = run.prefill.layers[layer];
    EXPECT_EQ(report.tokens_in, plan.tokens_in);
    int64_t num_entries = 0;
    for (size_t head = 0; head < run.kept[layer].size(); ++head) {
      const std::vector<int32_t>& positions = run.kept[layer][head];
      num_entries += static_cast<int64_t>(positions.size());
      ASSERT_EQ(static_cast<int64_t>(positions.size()), report.kv_len[head]);
      EXPECT_TRUE(plan.unequal_heads || report.kv_len[head] == plan.kv_len);
      EXPECT_TRUE(std::adjacent_find(positions.begin(), positions.end(), std::greater_equal<>()) ==
                  positions.end());
      for (int64_t i = 1; i <= tail; ++i) {
        EXPECT_EQ(positions[positions.size() - i], length - i);
      }
    }
    EXPECT_LE(num_entries, plan.MaxEntries(engine_->config().num_kv_heads));
  }
  if (run.prefill.propagated.has_value()) {
    const std::vector<int32_t>& propagated = *run.prefill.propagated;
    EXPECT_TRUE(std::is_sorted(propagated.begin(), propagated.end()));
    for (int64_t i = 1; i <= tail; ++i) {
      EXPECT_EQ(propagated[propagated.size() - i], length - i);
    }
  }
}

TEST_P(MethodContractTest, ProtectedTokensAreKeptEverywhere) {
  MethodConfig method = Method();
  method.kv = Budget::Tokens(60);
  method.tsp = Budget::Tokens(100);
  method.protect_first = 5;
  method.protect_last = 9;
  method.protect = {{211, 214}, {205, 212}, {300, 301}, {5000, 6000}};
  const TestRun run = Run(Ids(400), method);
  std::vector<int32_t> wanted = {0, 1, 2, 3, 4, 300};
  for (int32_t i = 205; i < 214; ++i) wanted.push_back(i);
  for (int32_t i = 391; i < 400; ++i) wanted.push_back(i);
  std::sort(wanted.begin(), wanted.end());
  const auto holds = [&](const std::vector<int32_t>& positions) {
    return std::includes(positions.begin(), positions.end(), wanted.begin(), wanted.end());
  };
  for (size_t layer = 0; layer < run.kept.size(); ++layer) {
    for (const std::vector<int32_t>& positions : run.kept[layer]) {
      EXPECT_TRUE(holds(positions)) << "layer " << layer;
    }
    EXPECT_LE(run.prefill.layers[layer].kv_len[0], 400);
  }
  EXPECT_TRUE(!run.prefill.propagated.has_value() || holds(*run.prefill.propagated));
}

TEST_P(MethodContractTest, ABudgetTooSmallForProtectedTokensIsAnError) {
  if (Method().name == "full") GTEST_SKIP() << "has no budget";
  MethodConfig method = Method();
  method.kv = Budget::Tokens(60);
  method.tsp = Budget::Tokens(100);
  method.protect_first = 350;
  const std::vector<int32_t> ids = Ids(400);
  Session session(*engine_);
  const Status status = session.Prefill({.ids = ids, .method = method});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("protected"));
}

TEST_P(MethodContractTest, RequiringTheMethodFailsWhereItDropsNothing) {
  const std::vector<int32_t> ids = Ids(6);
  MethodConfig method = Method();
  method.kv = Budget::Tokens(10);
  Session session(*engine_);
  EXPECT_TRUE(session.Prefill({.ids = ids, .method = method}).ok());
  const Status status = session.Prefill({.ids = ids, .method = method, .require_method = true});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("drops nothing of a prompt of 6 tokens"));
  if (method.name == "full") return;
  const std::vector<int32_t> long_ids = Ids(200);
  EXPECT_TRUE(session.Prefill({.ids = long_ids, .method = method, .require_method = true}).ok());
  EXPECT_TRUE(session.prefill_report().dropped_anything());
}

TEST_P(MethodContractTest, PromptsAreScoredWhereEveryTokenGoesThroughAllLayers) {
  const TestRun run = Run(Ids(150), Method(), {.score_prompt = true});
  const bool all_went_through = run.prefill.plan.layers.back().tokens_in == 150;
  EXPECT_EQ(run.prefill.mean_logprob.has_value(), all_went_through);
}

TEST_P(MethodContractTest, BlocksOfAnySizeSelectTheSame) {
  const std::vector<int32_t> ids = Ids(301);
  const TestRun whole = Run(ids, Method(), {.block_tokens = 1024});
  for (const int64_t block_tokens : {1, 5, 64, 300, 301}) {
    SCOPED_TRACE(block_tokens);
    const TestRun blocked = Run(ids, Method(), {.block_tokens = block_tokens});
    EXPECT_EQ(blocked.output_ids, whole.output_ids);
    EXPECT_EQ(blocked.kept, whole.kept);
    EXPECT_EQ(blocked.prefill.propagated, whole.prefill.propagated);
    // Blocks of a few rows go through the matrix-vector kernels, which add in another order.
    EXPECT_LT(LargestRelativeError(blocked.last_logits, whole.last_logits), 2e-5);
    if (block_tokens == 64) {
      EXPECT_EQ(blocked.last_logits, whole.last_logits);
    }
  }
}

TEST_P(MethodContractTest, ThreadsDoNotChangeABit) {
  const std::vector<int32_t> ids = Ids(301);
  const TestRun one = RunPrompt(*LoadTiny("llama", /*num_threads=*/1), ids, Method(), kNewTokens);
  for (const int num_threads : {2, 4}) {
    SCOPED_TRACE(num_threads);
    ExpectSameRun(RunPrompt(*LoadTiny("llama", num_threads), ids, Method(), kNewTokens), one);
  }
}

TEST_P(MethodContractTest, NothingOutlivesAPrompt) {
  const std::vector<int64_t> lengths = {40, 500, 3, 250};
  MethodConfig in_tokens = Method();
  in_tokens.kv = Budget::Tokens(32);
  in_tokens.tsp = Budget::Tokens(64);
  Session session(*engine_);
  for (size_t i = 0; i < lengths.size(); ++i) {
    SCOPED_TRACE(lengths[i]);
    const std::vector<int32_t> ids = Ids(lengths[i], i);
    const MethodConfig method = i % 2 == 0 ? Method() : in_tokens;
    ASSERT_TRUE(session.Prefill({.ids = ids, .method = method}).ok());
    const std::vector<float> logits = session.LastLogits().value();
    const std::vector<int32_t> output_ids =
        session
            .Decode(
                {.max_new_tokens = kNewTokens, .end_ids = EndIdsOf(engine_->generation_config())})
            ->output_ids;
    const TestRun fresh = Run(ids, method);
    EXPECT_EQ(logits, fresh.last_logits);
    EXPECT_EQ(output_ids, fresh.output_ids);
  }
}

TEST_P(MethodContractTest, DecodingGoesOnAtThePromptsTrueLength) {
  const std::vector<int32_t> ids = Ids(200);
  Session session(*engine_);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = Method()}).ok());
  // A method that reads the kept tokens as a prompt of their own goes on behind those.
  const PrefillPlan& plan = session.prefill_report().plan;
  const int64_t next = plan.renumbers ? plan.layers[0].tokens_in : 200;
  EXPECT_EQ(session.cache().next_position(), next);
  const int64_t tail_len = session.cache().tail_len();
  ASSERT_TRUE(session.Decode({.max_new_tokens = 3}).ok());
  // The last token has not been run yet.
  EXPECT_EQ(session.cache().tail_len(), tail_len + 2);
  for (const int64_t layer : {0, 5}) {
    EXPECT_EQ(session.cache().PositionsOf(layer, 0)->back(), next + 1);
    EXPECT_EQ(session.PositionsOf(layer, 0)->back(), 201);
  }
}

TEST_P(MethodContractTest, AForkGoesOnAsItsOriginalDoes) {
  const std::vector<int32_t> ids = Ids(130);
  Session session(*engine_);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = Method()}).ok());
  Session fork = session.Fork().value();
  const DecodeRequest request{.max_new_tokens = 40};
  EXPECT_EQ(fork.Decode(request)->output_ids, session.Decode(request)->output_ids);
  for (int64_t layer = 0; layer < engine_->config().num_layers; ++layer) {
    EXPECT_EQ(fork.PositionsOf(layer, 1).value(), session.PositionsOf(layer, 1).value());
  }
}

// The entries of a context that are kept before a question, which is protected, so that its length
// alone takes room from the context.
std::vector<std::vector<int32_t>> KeptBefore(const Engine& engine, std::vector<int32_t> ids,
                                             std::span<const int32_t> question,
                                             MethodConfig method) {
  const auto context_tokens = static_cast<int32_t>(ids.size());
  ids.insert(ids.end(), question.begin(), question.end());
  method.protect_last = static_cast<int64_t>(question.size());
  std::vector<std::vector<int32_t>> kept;
  for (const auto& heads : RunPrompt(engine, ids, method, 1).kept) {
    for (std::vector<int32_t> positions : heads) {
      positions.erase(std::lower_bound(positions.begin(), positions.end(), context_tokens),
                      positions.end());
      kept.push_back(std::move(positions));
    }
  }
  return kept;
}

TEST_P(MethodContractTest, AQuestionsTokensDoNotMoveWhatAQueryAgnosticMethodKeeps) {
  const auto method = CreateMethod(Method(), ShapeOf(engine_->config())).value();
  const bool is_agnostic = IsQueryAgnostic(method->Plan(1 << 20).value());
  const std::string& name = Method().name;
  // A question's tokens are a few among all whose keys or queries give the mean.
  const bool takes_means = name == "keydiff" || name == "expected-attention";
  EXPECT_EQ(is_agnostic,
            takes_means || name == "full" || name == "streamingllm" || name == "knorm");
  if (!is_agnostic) return;
  MethodConfig config = Method();
  config.kv = Budget::Tokens(60);
  const std::vector<int32_t> context = Ids(300);
  const auto one = KeptBefore(*engine_, context, Ids(4, 21), config);
  const auto other = KeptBefore(*engine_, context, Ids(4, 22), config);
  if (!takes_means) {
    EXPECT_EQ(one, other);
    return;
  }
  size_t num_kept = 0;
  size_t num_common = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    std::vector<int32_t> common;
    std::set_intersection(one[i].begin(), one[i].end(), other[i].begin(), other[i].end(),
                          std::back_inserter(common));
    num_common += common.size();
    num_kept += one[i].size();
  }
  EXPECT_GE(static_cast<double>(num_common), 0.9 * static_cast<double>(num_kept));
}

TEST_P(MethodContractTest, MemoryHeldIsThePlans) {
  const int64_t length = 700;
  const auto int8 = LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/llama",
                                    .device = "cpu",
                                    .compute_type = ComputeType::kF32,
                                    .kv_type = KvType::kInt8});
  for (const Engine* engine : {engine_.get(), int8.get()}) {
    SCOPED_TRACE(engine->backend().info().description);
    const TestRun run =
        RunPrompt(*engine, Ids(length), Method(), kNewTokens, {.block_tokens = 128});
    const auto memory_of = [&](const PrefillPlan& plan) {
      return PrefillMemory(engine->config(), plan, engine->backend().types(), 128);
    };
    EXPECT_EQ(run.prefill.kv_bytes, memory_of(run.prefill.plan).kept_kv_bytes);
    // Taken before the first block, for all that open cuts may let through.
    const PlannedMemory planned =
        memory_of(CreateMethod(engine->WithModelDefaults(Method()), ShapeOf(engine->config()))
                      .value()
                      ->Plan(length)
                      .value());
    // Token ids are held for a moment at the beginning; nothing else is unplanned.
    EXPECT_LE(run.prefill.peak_bytes, planned.total_bytes() + 4 * length);
    EXPECT_GE(run.prefill.peak_bytes, planned.total_bytes());
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, MethodContractTest, ::testing::ValuesIn(AllMethods()), LabelOf);

TEST(SessionTest, AppendedTokensEqualOnePromptOfBoth) {
  for (const std::string family : {"llama", "mistral_window"}) {
    const auto engine = LoadTiny(family);
    const std::vector<int32_t> ids = RandomIds(400, 9, engine->config().vocab_size);
    const TestRun whole = RunPrompt(*engine, ids, {.name = "full"}, kNewTokens);
    const std::span<const int32_t> all(ids);
    Session first(*engine);
    ASSERT_TRUE(first.Prefill({.ids = all.first(150), .method = {.name = "full"}}).ok());
    Result<Session> session = first.Fork();
    ASSERT_TRUE(session.ok());
    ASSERT_TRUE(session->Append(all.subspan(150), nullptr).ok());
    EXPECT_LT(LargestRelativeError(session->LastLogits().value(), whole.last_logits), 2e-5);
    EXPECT_EQ(session
                  ->Decode({.max_new_tokens = kNewTokens,
                            .end_ids = EndIdsOf(engine->generation_config())})
                  ->output_ids,
              whole.output_ids);
    EXPECT_EQ(first.cache().next_position(), 150);  // the fork left the original alone
  }
}

TEST(SessionTest, AppendRefusesWhatTheModelCannotTake) {
  const auto engine = LoadTiny("llama");
  const std::vector<int32_t> ids = RandomIds(50, 9, engine->config().vocab_size);
  Session session(*engine);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = "full"}}).ok());
  EXPECT_EQ(session.Append(std::vector<int32_t>{3, -1}, nullptr).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(session.Append(std::vector<int32_t>(5000, 1), nullptr).code(), StatusCode::kLimit);
  EXPECT_EQ(session.cache().tail_len(), 0);
  EXPECT_TRUE(session.Append(ids, nullptr).ok());
}

TEST(MethodEqualityTest, FastKvWithoutItsCutKeepsWhatSnapKvKeeps) {
  const auto engine = LoadTiny("qwen3");
  const std::vector<int32_t> ids = RandomIds(500, 3, engine->config().vocab_size);
  const TestRun fastkv =
      RunPrompt(*engine, ids, {.name = "fastkv", .tsp = Budget::Rate(1)}, kNewTokens);
  ExpectSameRun(fastkv, RunPrompt(*engine, ids, {.name = "snapkv"}, kNewTokens));
}

TEST(MethodEqualityTest, SlidingWindowsGoByPositionAfterACut) {
  const auto engine = LoadTiny("mistral_window");
  ASSERT_EQ(engine->config().sliding_window[0], 96);
  const std::vector<int32_t> ids = RandomIds(300, 4, engine->config().vocab_size);
  const auto reference =
      LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/mistral_window",
                      .device = "reference"});
  const TestRun fast = RunPrompt(*engine, ids, {.name = "fastkv"}, kNewTokens);
  const TestRun slow = RunPrompt(*reference, ids, {.name = "fastkv"}, kNewTokens);
  EXPECT_LT(LargestRelativeError(fast.last_logits, slow.last_logits), 1e-4);
  EXPECT_EQ(fast.output_ids, slow.output_ids);
  EXPECT_EQ(fast.prefill.propagated, slow.prefill.propagated);
}

}  // namespace
}  // namespace fastkv
