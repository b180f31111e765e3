// The needle model against two outside programs: Transformers driven by the published selection
// code, and an independent implementation of the methods in double precision.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

// Of the methods' 151 cases, of which 103 have short prompts; sanitizers get every fourth of those.
constexpr int kCaseStride = kSanitized ? 4 : 1;
constexpr int kNumMethodCases = kSanitized ? 26 : 151;

class GoldenNeedleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    engine_ = LoadTestEngine(
        {.model_path = kNeedleModel, .device = "cpu", .compute_type = ComputeType::kF32});
    const std::string folder = UnpackedTestArchive("needle_golden");
    needle_ = ReadTestJson(folder + "/needle-16m.expected.json");
    methods_ = ReadTestJson(folder + "/methods.expected.json");
  }
  static void TearDownTestSuite() { engine_.reset(); }

  static std::unique_ptr<Engine> engine_;
  static Json needle_;
  static Json methods_;
};

std::unique_ptr<Engine> GoldenNeedleTest::engine_;
Json GoldenNeedleTest::needle_;
Json GoldenNeedleTest::methods_;

TEST_F(GoldenNeedleTest, FullContextMatchesTransformers) {
  ASSERT_EQ(needle_["cases"].size(), 6U);
  for (const Json& golden : needle_["cases"]) {
    const auto ids = golden["input_ids"].get<std::vector<int32_t>>();
    if (ids.size() > kMaxPromptTokens) continue;
    SCOPED_TRACE(golden["task"].get<std::string>() + ", " + std::to_string(ids.size()));
    const TestRun run = RunPrompt(*engine_, ids, {.name = "full"}, 64);
    EXPECT_LT(LargestRelativeError(run.last_logits,
                                   golden["full"]["last_logits"].get<std::vector<float>>()),
              1e-5);
    EXPECT_EQ(run.output_ids, golden["full"]["output_ids"].get<std::vector<int32_t>>());
  }
}

TEST_F(GoldenNeedleTest, FastKvMatchesThePublishedSelection) {
  for (const Json& golden : needle_["cases"]) {
    const auto ids = golden["input_ids"].get<std::vector<int32_t>>();
    if (ids.size() > kMaxPromptTokens) continue;
    SCOPED_TRACE(golden["task"].get<std::string>() + ", " + std::to_string(ids.size()));
    const Json& fastkv = golden["fastkv"];
    const MethodConfig method{.name = "fastkv",
                              .kv = Budget::Rate(fastkv["kv_rate"].get<double>()),
                              .tsp = Budget::Rate(fastkv["tsp_rate"].get<double>()),
                              .tsp_layer = fastkv["tsp_layer"].get<int64_t>(),
                              .window = fastkv["window"].get<int64_t>(),
                              .kernel = fastkv["kernel"].get<int64_t>()};
    const TestRun run = RunPrompt(*engine_, ids, method, 64);
    EXPECT_LT(
        LargestRelativeError(run.last_logits, fastkv["last_logits"].get<std::vector<float>>()),
        1e-5);
    EXPECT_EQ(run.output_ids, fastkv["output_ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(run.prefill.propagated, fastkv["propagated"].get<std::vector<int32_t>>());
    for (size_t i = 0; i < fastkv["kept_layers"].size(); ++i) {
      const auto layer = fastkv["kept_layers"][i].get<size_t>();
      EXPECT_EQ(run.kept[layer], fastkv["kept"][i].get<std::vector<std::vector<int32_t>>>())
          << "layer " << layer;
    }
  }
}

MethodConfig ConfigOf(const Json& parameters) {
  MethodConfig config;
  for (const auto& [name, value] : parameters.items()) {
    if (name == "method") {
      config.name = value.get<std::string>();
    } else if (name == "retention") {
      config.retention = value.get<std::string>();
    } else if (name == "kv_rate") {
      config.kv = Budget::Rate(value.get<double>());
    } else if (name == "kv_tokens") {
      config.kv = Budget::Tokens(value.get<int64_t>());
    } else if (name == "tsp_rate") {
      config.tsp = Budget::Rate(value.get<double>());
    } else if (name == "tsp_tokens") {
      config.tsp = Budget::Tokens(value.get<int64_t>());
    } else if (name == "tsp_layer") {
      config.tsp_layer = value.get<int64_t>();
    } else if (name == "filter_layer") {
      config.filter_layer = value.get<int64_t>();
    } else if (name == "window") {
      config.window = value.get<int64_t>();
    } else if (name == "kernel") {
      config.kernel = value.get<int64_t>();
    } else if (name == "pooling") {
      config.pooling =
          value.get<std::string>() == "max" ? PoolingKind::kMax : PoolingKind::kAverage;
    } else if (name == "sinks") {
      config.sinks = value.get<int64_t>();
    } else if (name == "recent_ratio") {
      config.recent_ratio = value.get<double>();
    } else if (name == "decay_ratio") {
      config.decay_ratio = value.get<double>();
    } else if (name == "pyramid_beta") {
      config.pyramid_beta = value.get<int64_t>();
    } else if (name == "adakv_alpha") {
      config.adakv_alpha = value.get<double>();
    } else if (name == "future_positions") {
      config.future_positions = value.get<int64_t>();
    } else {
      EXPECT_EQ(name, "new_tokens");
    }
  }
  return config;
}

// Equal but for positions that rounding may swap across the cut; numbers are compared elsewhere.
void ExpectSamePositions(const std::vector<int32_t>& actual, const std::vector<int32_t>& expected,
                         const std::vector<int32_t>& ambiguous) {
  EXPECT_TRUE(std::is_sorted(actual.begin(), actual.end()));
  const std::set<int32_t> may_differ(ambiguous.begin(), ambiguous.end());
  std::vector<int32_t> differing;
  std::set_symmetric_difference(actual.begin(), actual.end(), expected.begin(), expected.end(),
                                std::back_inserter(differing));
  for (const int32_t position : differing) EXPECT_TRUE(may_differ.contains(position)) << position;
}

// The list of one KV head; a case gives one list where all heads agree.
std::vector<int32_t> OfHead(const Json& lists, size_t head) {
  if (lists.empty()) return {};
  if (!lists[0].is_array()) return lists.get<std::vector<int32_t>>();
  return lists[std::min(head, lists.size() - 1)].get<std::vector<int32_t>>();
}

void ExpectKept(const Json& expected, const TestRun& run, int64_t num_tokens) {
  for (size_t i = 0; i < expected["kept_layers"].size(); ++i) {
    const auto layer = expected["kept_layers"][i].get<size_t>();
    SCOPED_TRACE("layer " + std::to_string(layer));
    const Json& kept = expected["kept"][i];
    for (size_t head = 0; head < run.kept[layer].size(); ++head) {
      if (kept == "all") {
        EXPECT_EQ(run.kept[layer][head].size(), static_cast<size_t>(num_tokens));
      } else {
        ExpectSamePositions(run.kept[layer][head], OfHead(kept, head),
                            OfHead(expected["ambiguous"][i], head));
      }
    }
  }
}

// Lengths per layer: one number, or one per KV head, which may be off by as much as the case
// allows.
void ExpectLengths(const Json& expected, const TestRun& run) {
  for (size_t i = 0; i < run.prefill.layers.size(); ++i) {
    SCOPED_TRACE("layer " + std::to_string(i));
    const LayerReport& layer = run.prefill.layers[i];
    EXPECT_EQ(layer.tokens_in, expected["tokens_in"][i].get<int64_t>());
    const Json& lengths = expected["kv_len"][i];
    for (size_t head = 0; head < layer.kv_len.size(); ++head) {
      const int64_t length =
          lengths.is_array() ? lengths[head].get<int64_t>() : lengths.get<int64_t>();
      int64_t slack = 0;
      if (expected.contains("kv_len_slack")) {
        const Json& slacks = expected["kv_len_slack"][i];
        slack = slacks.is_array() ? slacks[head].get<int64_t>() : slacks.get<int64_t>();
      }
      EXPECT_NEAR(layer.kv_len[head], length, slack);
    }
    if (expected.contains("kv_len_after_decode")) {
      EXPECT_EQ(run.kv_len_after_decode[i], expected["kv_len_after_decode"][i].get<int64_t>());
    }
  }
}

TEST_F(GoldenNeedleTest, MethodsMatchTheIndependentImplementation) {
  int num_run = 0;
  int num_short = 0;
  for (const Json& golden : methods_["cases"]) {
    if (golden["prompt"]["tokens"].get<size_t>() > kMaxPromptTokens) continue;
    if (num_short++ % kCaseStride != 0) continue;
    ++num_run;
    const MethodConfig config = ConfigOf(golden["parameters"]);
    SCOPED_TRACE(golden["parameters"].dump() + golden["prompt"].dump());
    const Json& prompt = golden["prompt"];
    const auto all_ids = needle_["cases"][prompt["needle_case"].get<size_t>()]["input_ids"]
                             .get<std::vector<int32_t>>();
    const size_t end = prompt["end"].is_null() ? all_ids.size() : prompt["end"].get<size_t>();
    const std::vector<int32_t> ids(all_ids.begin() + prompt["first"].get<int64_t>(),
                                   all_ids.begin() + static_cast<int64_t>(end));
    const Json& expected = golden["expected"];
    const auto output_ids = expected["output_ids"].get<std::vector<int32_t>>();
    const TestRun run = RunPrompt(*engine_, ids, config, static_cast<int64_t>(output_ids.size()));
    ExpectLengths(expected, run);
    ExpectKept(expected, run, static_cast<int64_t>(ids.size()));
    EXPECT_EQ(run.prefill.propagated.has_value(), !expected["propagated"].is_null());
    if (run.prefill.propagated.has_value() && !expected["propagated"].is_null()) {
      EXPECT_EQ(run.prefill.propagated->size(), expected["propagated"].size());
      ExpectSamePositions(*run.prefill.propagated,
                          expected["propagated"].get<std::vector<int32_t>>(),
                          expected["propagated_ambiguous"].get<std::vector<int32_t>>());
    }
    const Json& logits = methods_["logits"][expected["last_logits"].get<std::string>()];
    EXPECT_LT(LargestRelativeError(run.last_logits, logits.get<std::vector<float>>()), 1e-4);
    const size_t num_sure = expected.value("sure_ids", output_ids.size());
    for (size_t i = 0; i < std::min(num_sure, run.output_ids.size()); ++i) {
      EXPECT_EQ(run.output_ids[i], output_ids[i]) << i;
    }
    EXPECT_GE(run.output_ids.size(), num_sure);
  }
  EXPECT_EQ(num_run, kNumMethodCases);
}

}  // namespace
}  // namespace fastkv
