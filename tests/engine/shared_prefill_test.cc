// Methods that read one prompt together keep what each keeps alone, with values but for rounding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

constexpr int64_t kNewTokens = 12;

class SharedPrefillTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    engine_ = LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/" + GetParam(),
                              .device = "cpu",
                              .compute_type = ComputeType::kF32});
  }

  std::vector<int32_t> Ids(int64_t count) const {
    Random random(3);
    std::vector<int32_t> ids(count);
    for (int32_t& id : ids) {
      id = static_cast<int32_t>(random.NextInt(engine_->config().vocab_size));
    }
    return ids;
  }

  TestRun RunOf(Session& session) const {
    TestRun run;
    run.prefill = session.prefill_report();
    run.last_logits = session.LastLogits().value();
    for (int64_t i = 0; i < engine_->config().num_layers; ++i) {
      run.kept.emplace_back();
      for (int64_t head = 0; head < engine_->config().num_kv_heads; ++head) {
        run.kept.back().push_back(session.PositionsOf(i, head).value());
      }
    }
    const Result<DecodeReport> decode = session.Decode({.max_new_tokens = kNewTokens});
    EXPECT_TRUE(decode.ok()) << decode.status().message();
    run.output_ids = decode->output_ids;
    // After decoding, so that keys and values show too, not only positions.
    const std::vector<float> logits = session.LastLogits().value();
    run.last_logits.insert(run.last_logits.end(), logits.begin(), logits.end());
    return run;
  }

  void ExpectSameAsAlone(const std::vector<MethodConfig>& methods, const std::vector<int32_t>& ids,
                         const PrefillOptions& options = {}) const {
    auto sessions =
        Session::PrefillTogether(*engine_, {.ids = ids, .methods = methods, .options = options});
    ASSERT_TRUE(sessions.ok()) << sessions.status().message();
    ASSERT_EQ(sessions->size(), methods.size());
    for (size_t i = 0; i < methods.size(); ++i) {
      SCOPED_TRACE(methods[i].name + " " + methods[i].retention + ", number " + std::to_string(i));
      Session alone(*engine_);
      const Status status = alone.Prefill({.ids = ids, .method = methods[i], .options = options});
      ASSERT_TRUE(status.ok()) << status.message();
      const TestRun expected = RunOf(alone);
      const TestRun shared = RunOf((*sessions)[i]);
      // The last layer runs as many rows as the most demanding method needs, and products of at
      // most eight rows add up in another order.
      EXPECT_LT(LargestRelativeError(shared.last_logits, expected.last_logits), 1e-5);
      EXPECT_EQ(shared.output_ids, expected.output_ids);
      EXPECT_EQ(shared.kept, expected.kept);
      EXPECT_EQ(shared.prefill.propagated, expected.prefill.propagated);
      EXPECT_EQ(shared.prefill.layers, expected.prefill.layers);
      EXPECT_EQ(shared.prefill.kv_bytes, expected.prefill.kv_bytes);
      EXPECT_EQ(shared.prefill.full_kv_bytes, expected.prefill.full_kv_bytes);
    }
  }

  StatusCode CodeOf(const std::vector<MethodConfig>& methods) const {
    const std::vector<int32_t> ids = Ids(200);
    return Session::PrefillTogether(*engine_, {.ids = ids, .methods = methods}).status().code();
  }

  std::unique_ptr<Engine> engine_;
};

// Every retention rule at two budgets, and the full context between them.
std::vector<MethodConfig> RulesAtTwoBudgets() {
  std::vector<MethodConfig> methods;
  for (const double rate : {0.1, 0.3}) {
    for (const std::string& name : RetentionNames()) {
      methods.push_back({.name = name, .kv = Budget::Rate(rate)});
    }
    if (rate == 0.1) methods.push_back({.name = "full"});
  }
  return methods;
}

TEST_P(SharedPrefillTest, EveryRuleKeepsWhatItKeepsAlone) {
  ExpectSameAsAlone(RulesAtTwoBudgets(), Ids(333));
}

TEST_P(SharedPrefillTest, InAnyOrderAndInSmallBlocks) {
  std::vector<MethodConfig> methods = RulesAtTwoBudgets();
  std::reverse(methods.begin(), methods.end());
  ExpectSameAsAlone(methods, Ids(150), {.block_tokens = 64});
}

TEST_P(SharedPrefillTest, RulesBesideOneCut) {
  std::vector<MethodConfig> methods;
  for (const double rate : {0.05, 0.2, 1.0}) {
    for (const std::string& name : RetentionNames()) {
      methods.push_back({.name = "fastkv", .kv = Budget::Rate(rate), .retention = name});
    }
  }
  ExpectSameAsAlone(methods, Ids(333));
}

TEST_P(SharedPrefillTest, APromptThatAllKeepWhole) {
  ExpectSameAsAlone({{.name = "snapkv", .kv = Budget::Tokens(100)},
                     {.name = "full"},
                     {.name = "h2o", .kv = Budget::Tokens(100)},
                     {.name = "snapkv", .kv = Budget::Tokens(20)}},
                    Ids(40));
}

TEST_P(SharedPrefillTest, OneMethodIsAnOrdinaryPrefill) {
  for (const std::string& name : MethodNames()) ExpectSameAsAlone({{.name = name}}, Ids(200));
}

TEST_P(SharedPrefillTest, RefusesWhatCannotReadTogether) {
  EXPECT_EQ(CodeOf({{.name = "full"}, {.name = "fastkv"}}), StatusCode::kUnsupported);
  EXPECT_EQ(CodeOf({{.name = "full"}, {.name = "gemfilter"}}), StatusCode::kUnsupported);
  EXPECT_EQ(CodeOf({{.name = "pyramidinfer"}, {.name = "pyramidinfer"}}), StatusCode::kUnsupported);
  EXPECT_EQ(CodeOf({{.name = "expected-attention"}, {.name = "expected-attention", .sinks = 6}}),
            StatusCode::kUnsupported)
      << "moments of other rows";
  EXPECT_EQ(CodeOf({{.name = "full"}, {.name = "snapkv", .protect_first = 5}}),
            StatusCode::kUnsupported);
  // Plans are alike, but other tokens win.
  EXPECT_EQ(CodeOf({{.name = "fastkv", .kernel = 1}, {.name = "fastkv", .kernel = 31}}),
            StatusCode::kUnsupported);
}

TEST_P(SharedPrefillTest, ABadMethodFailsTheWhole) {
  EXPECT_EQ(CodeOf({{.name = "full"}, {.name = "none"}}), StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Families, SharedPrefillTest, ::testing::Values("llama", "mistral_window"));

}  // namespace
}  // namespace fastkv
