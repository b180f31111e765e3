// Tiny models of every family against what Transformers computes for them.
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

class GoldenModelsTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenModelsTest, MatchesTransformersInFloat32) {
  const std::string folder = UnpackedTestArchive("golden_models") + "/" + GetParam();
  // The expected values come from models that were cast to bfloat16 whole, rotary frequencies
  // included.
  const auto engine = LoadTestEngine({.model_path = folder,
                                      .device = "cpu",
                                      .compute_type = ComputeType::kF32,
                                      .bf16_rope = true});
  const Json expected = ReadTestJson(folder + "/expected.json");
  ASSERT_GE(expected["cases"].size(), 5U);
  for (const Json& golden : expected["cases"]) {
    const auto ids = golden["input_ids"].get<std::vector<int32_t>>();
    if (ids.size() > kMaxPromptTokens) continue;
    SCOPED_TRACE(GetParam() + ", " + std::to_string(ids.size()) + " tokens");
    const auto greedy = golden["greedy_next"].get<std::vector<int32_t>>();
    const TestRun run = RunPrompt(*engine, ids, {.name = "full"},
                                  static_cast<int64_t>(greedy.size()), {.score_prompt = true});
    EXPECT_LT(
        LargestRelativeError(run.last_logits, golden["last_logits"].get<std::vector<float>>()),
        2e-5);
    EXPECT_EQ(run.output_ids, greedy);
    if (golden["mean_logprob_of_input"].is_null()) {
      EXPECT_FALSE(run.prefill.mean_logprob.has_value());
    } else {
      EXPECT_NEAR(*run.prefill.mean_logprob, golden["mean_logprob_of_input"].get<double>(), 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenModelsTest,
                         ::testing::Values("llama", "llama31", "mistral", "mistral_window", "qwen2",
                                           "qwen2_yarn", "qwen3"));

}  // namespace
}  // namespace fastkv
