// Calibration against the engine itself: what it says about a cut is what prefilling with that cut
// gives.
#include "engine/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "engine/calibration_profile.h"
#include "engine/output_difference.h"
#include "io/temp_folder.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;

std::string TinyModel(const std::string& family) {
  return UnpackedTestArchive("golden_models") + "/" + family;
}

std::unique_ptr<Engine> LoadTiny(const std::string& family) {
  return LoadTestEngine(
      {.model_path = TinyModel(family), .device = "cpu", .compute_type = ComputeType::kF32});
}

std::vector<int32_t> RandomIds(int64_t count, uint64_t seed, int64_t vocab_size) {
  Random random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.NextInt(vocab_size));
  return ids;
}

// Logits after the prompt and after each token of the continuation, by prefill and appending.
std::vector<std::vector<float>> TeacherForced(const Engine& engine, const CalibrationPrompt& prompt,
                                              const MethodConfig& method) {
  Session session(engine);
  EXPECT_TRUE(session.Prefill({.ids = prompt.ids, .method = method}).ok());
  std::vector<std::vector<float>> logits = {session.LastLogits().value()};
  for (const int32_t id : prompt.continuation) {
    EXPECT_TRUE(session.Append(std::span(&id, 1), nullptr).ok());
    logits.push_back(session.LastLogits().value());
  }
  return logits;
}

class CalibrationTest : public ::testing::TestWithParam<std::string> {};

TEST_P(CalibrationTest, SaysWhatPrefillWithTheCutGives) {
  const auto engine = LoadTiny(GetParam());
  for (const int64_t continuation : {0, 5}) {
    SCOPED_TRACE(continuation);
    std::vector<CalibrationPrompt> prompts;
    for (uint64_t seed : {1, 2}) {
      prompts.push_back(
          {.ids =
               RandomIds(150 + 83 * static_cast<int64_t>(seed), seed, engine->config().vocab_size),
           .continuation = RandomIds(continuation, 10 + seed, engine->config().vocab_size)});
    }
    const Calibration calibration =
        Calibrate(*engine, prompts, {.first_layer = 0, .last_layer = 3}).value();
    ASSERT_EQ(calibration.curve.size(), 4u);
    EXPECT_EQ(calibration.compared_positions, 2 * (1 + continuation));
    EXPECT_EQ(calibration.prompt_tokens, (std::vector<int64_t>{233, 316}));
    EXPECT_EQ(calibration.propagated_tokens, (std::vector<int64_t>{46, 63}));
    for (const LayerSummary& layer : calibration.curve) {
      double distance = 0;
      double divergence = 0;
      double agreement = 0;
      for (const CalibrationPrompt& prompt : prompts) {
        const auto full = TeacherForced(*engine, prompt, {.name = "full"});
        const auto cut = TeacherForced(
            *engine, prompt, {.name = "fastkv", .kv = Budget::Rate(1), .tsp_layer = layer.layer});
        const auto weight = 1.0 / static_cast<double>(prompts.size() * full.size());
        for (size_t i = 0; i < full.size(); ++i) {
          distance += weight * NormalisedDistance(cut[i], full[i]);
          divergence += weight * KlDivergence(full[i], cut[i]);
          agreement += weight * TopOverlap(full[i], cut[i], 1);
        }
      }
      EXPECT_NEAR(layer.logits_distance.mean, distance, 1e-4 * (1 + distance)) << layer.layer;
      EXPECT_NEAR(layer.kl_divergence.mean, divergence, 1e-4 * (1 + divergence)) << layer.layer;
      EXPECT_NEAR(layer.argmax_agreement.mean, agreement, 1e-9) << layer.layer;
      EXPECT_GT(layer.logits_distance.mean, 1e-3) << layer.layer;  // the cut is felt
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, CalibrationTest,
                         ::testing::Values("llama", "mistral_window", "qwen3"));

TEST(CalibrationRunTest, BlocksOfAnySizeGiveTheSame) {
  const auto engine = LoadTiny("llama");
  const std::vector<CalibrationPrompt> prompts = {{RandomIds(301, 3, 512), RandomIds(4, 4, 512)}};
  CalibrationOptions options;
  options.block_tokens = 1024;
  const Calibration whole = Calibrate(*engine, prompts, options).value();
  for (const int64_t block_tokens : {1, 64, 300}) {
    options.block_tokens = block_tokens;
    const Calibration blocked = Calibrate(*engine, prompts, options).value();
    for (size_t i = 0; i < whole.curve.size(); ++i) {
      EXPECT_NEAR(blocked.curve[i].logits_distance.mean, whole.curve[i].logits_distance.mean, 1e-4);
      if (!whole.curve[i].overlap_with_next) continue;
      EXPECT_EQ(blocked.curve[i].overlap_with_next->mean, whole.curve[i].overlap_with_next->mean);
    }
  }
}

TEST(CalibrationRunTest, OverlapIsThatOfTheSelectedSets) {
  const auto engine = LoadTiny("llama");
  const std::vector<CalibrationPrompt> prompts = {{RandomIds(400, 5, 512), {}}};
  const Calibration calibration =
      Calibrate(*engine, prompts, {.first_layer = 1, .last_layer = 2}).value();
  const auto propagated = [&](int64_t layer) {
    Session session(*engine);
    EXPECT_TRUE(session.Prefill({.ids = prompts[0].ids, .method = {.tsp_layer = layer}}).ok());
    return *session.prefill_report().propagated;
  };
  const std::vector<int32_t> behind_1 = propagated(1);
  const std::vector<int32_t> behind_2 = propagated(2);
  std::vector<int32_t> common;
  std::set_intersection(behind_1.begin(), behind_1.end(), behind_2.begin(), behind_2.end(),
                        std::back_inserter(common));
  const auto window = 8.0;
  EXPECT_NEAR(calibration.curve[0].overlap_with_next->mean,
              (static_cast<double>(common.size()) - window) /
                  (static_cast<double>(behind_1.size()) - window),
              1e-12);
}

TEST(CalibrationRunTest, ProgressEndsAtItsTotal) {
  const auto engine = LoadTiny("llama");
  const std::vector<CalibrationPrompt> prompts = {{RandomIds(200, 3, 512), RandomIds(4, 4, 512)},
                                                  {RandomIds(90, 5, 512), {}}};
  CalibrationProgress last;
  CalibrationOptions options;
  options.on_progress = [&](const CalibrationProgress& progress) {
    EXPECT_GT(progress.done_flops, last.done_flops);
    last = progress;
  };
  ASSERT_TRUE(Calibrate(*engine, prompts, options).ok());
  EXPECT_EQ(last.prompt_tokens, 290);
  EXPECT_EQ(last.num_prompts, 2);
  EXPECT_NEAR(last.done_flops / last.total_flops, 1, 1e-9);
}

TEST(CalibrationRunTest, RefusesWhatItCannotCalibrateWith) {
  const auto engine = LoadTiny("llama");
  const int64_t num_layers = engine->config().num_layers;
  const std::vector<CalibrationPrompt> prompts = {{RandomIds(200, 3, 512), {}}};
  const auto error = [&](const std::vector<CalibrationPrompt>& given,
                         const CalibrationOptions& options) {
    const Result<Calibration> result = Calibrate(*engine, given, options);
    EXPECT_FALSE(result.ok());
    return result.ok() ? OkStatus() : result.status();
  };
  EXPECT_EQ(error({}, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(error({prompts[0], {RandomIds(8, 3, 512), {}}}, {}).message(),
              HasSubstr("prompt 2: the prompt has 8 tokens"));
  EXPECT_THAT(error({{{1, 2, 100000}, {}}}, {}).message(), HasSubstr("vocabulary"));
  EXPECT_EQ(
      error({{RandomIds(engine->config().max_position_embeddings + 1, 3, 512), {}}}, {}).code(),
      StatusCode::kLimit);
  EXPECT_THAT(
      error({{prompts[0].ids, RandomIds(kMaxContinuationTokens + 1, 3, 512)}}, {}).message(),
      HasSubstr("continuation"));
  EXPECT_THAT(error(prompts, {.last_layer = num_layers - 1}).message(), HasSubstr("--layers"));
  EXPECT_THAT(error(prompts, {.first_layer = 3, .last_layer = 2}).message(), HasSubstr("--layers"));
  EXPECT_THAT(error(prompts, {.tsp = Budget::Rate(2)}).message(), HasSubstr("--tsp-rate"));
  EXPECT_THAT(error(prompts, {.kernel = 4}).message(), HasSubstr("--kernel"));
  CancelFlag cancel;
  cancel.Cancel();
  EXPECT_EQ(error(prompts, {.cancel = &cancel}).code(), StatusCode::kCancelled);
}

TEST(CalibrationRunTest, CandidatesAreTheMiddleHalf) {
  EXPECT_EQ(CandidatesOf({}, 16)->first, 4);
  EXPECT_EQ(CandidatesOf({}, 16)->last, 12);
  EXPECT_EQ(CandidatesOf({}, 32)->last, 24);
  EXPECT_EQ(CandidatesOf({}, 2)->first, 0);
  EXPECT_EQ(CandidatesOf({}, 2)->last, 0);
  EXPECT_EQ(CandidatesOf({}, 1).status().code(), StatusCode::kUnsupported);
}

// The default TSP layer of an engine, from the strongest source to the weakest.
class ProfileOrderTest : public ::testing::Test {
 protected:
  ProfileOrderTest() : engine_(LoadTiny("llama")) {
    const std::vector<CalibrationPrompt> prompts = {{RandomIds(200, 3, 512), {}}};
    const CalibrationOptions options = {.first_layer = 1, .last_layer = 1};
    profile_ = CalibrationProfile(Calibrate(*engine_, prompts, options).value(), options, prompts,
                                  engine_->config());
  }

  std::string WriteProfile(int64_t layer) {
    profile_["tsp_layer"] = layer;
    const std::string path = JoinPath(folder_.path(), "profile.json");
    EXPECT_TRUE(RealFileSystem().WriteFile(path, DumpJson(profile_)).ok());
    return path;
  }
  int64_t CutLayer(const Engine& engine, const MethodConfig& method) {
    Session session(engine);
    EXPECT_TRUE(session.Prefill({.ids = RandomIds(200, 3, 512), .method = method}).ok());
    return session.prefill_report().plan.CutLayer();
  }
  EngineOptions Options(const std::string& profile) const {
    return {.model_path = TinyModel("llama"), .device = "cpu", .profile_path = profile};
  }

  TempFolder folder_;
  std::unique_ptr<Engine> engine_;
  Json profile_;
};

TEST_F(ProfileOrderTest, FlagThenProfileThenHalf) {
  const int64_t half = engine_->config().num_layers / 2 - 1;
  EXPECT_EQ(CutLayer(*engine_, {}), half);
  const auto with_profile = LoadTestEngine(Options(WriteProfile(half + 1)));
  EXPECT_EQ(CutLayer(*with_profile, {}), half + 1);
  EXPECT_EQ(CutLayer(*with_profile, {.tsp_layer = 0}), 0);
  EXPECT_EQ(CutLayer(*with_profile, {.name = "full"}), -1);
}

TEST_F(ProfileOrderTest, ADamagedProfileStopsLoadingUnlessIgnored) {
  const std::string path = WriteProfile(engine_->config().num_layers - 1);
  EngineOptions options = Options(path);
  const auto damaged = Engine::Load(RealFileSystem(), options, nullptr);
  ASSERT_FALSE(damaged.ok());
  EXPECT_THAT(damaged.status().message(), HasSubstr("tsp_layer"));
  options.ignore_profile = true;
  EXPECT_TRUE(Engine::Load(RealFileSystem(), options, nullptr).ok());
}

TEST_F(ProfileOrderTest, ProfileNamesThePromptsAndSettings) {
  EXPECT_EQ(profile_["settings"]["window"], 8);
  EXPECT_EQ(profile_["settings"]["pooling"], "max");
  EXPECT_EQ(profile_["curve"].size(), 1u);
  const std::vector<CalibrationPrompt> a = {{{1, 2}, {3}}};
  const std::vector<CalibrationPrompt> b = {{{1}, {2, 3}}};
  EXPECT_NE(PromptsFingerprint(a), PromptsFingerprint(b));
  EXPECT_EQ(PromptsFingerprint(a), PromptsFingerprint(a));
}

}  // namespace
}  // namespace fastkv
