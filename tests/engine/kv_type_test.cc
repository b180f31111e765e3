// A cache of 8 bits in whole models: what it changes, what it must not, and what it takes.
#include <gmock/gmock.h>

#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/batch_decoder.h"
#include "engine/token_decoder.h"
#include "tests/engine/engine_fixture.h"
#include "tests/engine/random_engine.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Engine> LoadNeedle(const std::string& device, KvType kv_type) {
  return LoadTestEngine({.model_path = kNeedleModel,
                         .device = device,
                         .num_threads = 2,
                         .compute_type = ComputeType::kF32,
                         .kv_type = kv_type});
}

std::unique_ptr<Engine> LoadTiny(const std::string& device, KvType kv_type) {
  return LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/llama",
                         .device = device,
                         .num_threads = 2,
                         .compute_type = ComputeType::kF32,
                         .kv_type = kv_type});
}

// Prefill is as ever; the answer's tokens are read from integers.
TEST(KvOf8Bits, AnswersNeedlePromptsAsTheWholeCacheDoes) {
  const Json golden =
      ReadTestJson(UnpackedTestArchive("needle_golden") + "/needle-16m.expected.json");
  const auto computed = LoadNeedle("cpu", KvType::kAuto);
  const auto int8 = LoadNeedle("cpu", KvType::kInt8);
  // Of 487 tokens, and of 1,962 with a long answer.
  for (const size_t index : {0, 2}) {
    const auto ids = golden["cases"][index]["input_ids"].get<std::vector<int32_t>>();
    if (ids.size() > kMaxPromptTokens) continue;
    for (const std::string name : {"full", "fastkv"}) {
      SCOPED_TRACE(name + ", " + std::to_string(ids.size()));
      std::vector<float> logits[2];
      std::vector<int32_t> output_ids[2];
      int i = 0;
      for (const Engine* engine : {computed.get(), int8.get()}) {
        Session session(*engine);
        ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = name}}).ok());
        const std::vector<float> of_prompt = session.LastLogits().value();
        output_ids[i] =
            session
                .Decode({.max_new_tokens = 24, .end_ids = EndIdsOf(engine->generation_config())})
                ->output_ids;
        // Of the last generated token that was run.
        logits[i] = session.LastLogits().value();
        logits[i].insert(logits[i].end(), of_prompt.begin(), of_prompt.end());
        ++i;
      }
      EXPECT_EQ(output_ids[1], output_ids[0]);
      ASSERT_GT(output_ids[0].size(), 1U);
      // The prompt's own logits do not come from the cache.
      const size_t vocab_size = logits[0].size() / 2;
      EXPECT_TRUE(std::equal(logits[0].begin() + vocab_size, logits[0].end(),
                             logits[1].begin() + vocab_size));
      logits[0].resize(vocab_size);
      logits[1].resize(vocab_size);
      const double error = LargestRelativeError(logits[1], logits[0]);
      EXPECT_GT(error, 1e-6);
      EXPECT_LT(error, 0.03);
    }
  }
}

TEST(KvOf8Bits, MeansTheSameToTheReference) {
  const auto reference = LoadTiny("reference", KvType::kInt8);
  const auto cpu = LoadTiny("cpu", KvType::kInt8);
  const std::vector<int32_t> ids = RandomIds(5, 70, cpu->config().vocab_size);
  const std::span<const int32_t> all(ids);
  for (const std::string name : {"full", "snapkv", "adakv", "pyramidinfer"}) {
    SCOPED_TRACE(name);
    std::vector<float> logits[2];
    int i = 0;
    for (const Engine* engine : {reference.get(), cpu.get()}) {
      Session session(*engine);
      const MethodConfig method{.name = name, .kv = Budget::Tokens(30)};
      ASSERT_TRUE(session.Prefill({.ids = all.first(60), .method = method}).ok());
      EXPECT_EQ(session.cache().layer(0).View(0).frozen_keys.dtype(), DType::kI8);
      // Several rows, then one.
      ASSERT_TRUE(session.Append(all.subspan(60, 9), nullptr).ok());
      logits[i] = session.LastLogits().value();
      ASSERT_TRUE(session.Append(all.subspan(69), nullptr).ok());
      const std::vector<float> last = session.LastLogits().value();
      logits[i].insert(logits[i].end(), last.begin(), last.end());
      ++i;
    }
    // Keys that the two compute a hair apart may round to neighbouring integers.
    EXPECT_LT(LargestRelativeError(logits[1], logits[0]), 2e-3);
  }
}

TEST(KvOf8Bits, IsReadTogetherAsAlone) {
  const auto engine = LoadTiny("cpu", KvType::kInt8);
  const std::vector<int32_t> ids = RandomIds(7, 333, engine->config().vocab_size);
  // Two that keep everything share it.
  const std::vector<MethodConfig> methods = {{.name = "snapkv"},
                                             {.name = "full"},
                                             {.name = "adakv", .kv = Budget::Rate(0.3)},
                                             {.name = "knorm", .kv = Budget::Rate(1)}};
  auto sessions = Session::PrefillTogether(*engine, {.ids = ids, .methods = methods});
  ASSERT_TRUE(sessions.ok()) << sessions.status().message();
  for (size_t i = 0; i < methods.size(); ++i) {
    SCOPED_TRACE(methods[i].name);
    Session alone(*engine);
    ASSERT_TRUE(alone.Prefill({.ids = ids, .method = methods[i]}).ok());
    EXPECT_EQ((*sessions)[i].prefill_report().kv_bytes, alone.prefill_report().kv_bytes);
    const std::vector<int32_t> expected = alone.Decode({.max_new_tokens = 10})->output_ids;
    EXPECT_EQ((*sessions)[i].Decode({.max_new_tokens = 10})->output_ids, expected);
    EXPECT_LT(LargestRelativeError((*sessions)[i].LastLogits().value(), alone.LastLogits().value()),
              2e-3);
  }
  EXPECT_EQ((*sessions)[1].cache().layer(0).View(0).frozen_keys.data(),
            (*sessions)[3].cache().layer(0).View(0).frozen_keys.data());
}

TEST(KvOf8Bits, ForksAndCopiesGoOnAlike) {
  const auto engine = MakeRandomEngine({.device = "cpu", .kv_type = KvType::kInt8});
  const std::vector<int32_t> ids = RandomIds(3, 90, engine->config().vocab_size);
  Session session(*engine);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = "snapkv"}}).ok());
  KvCache copy = session.cache().Copy().value();
  Session fork = session.Fork().value();
  ASSERT_TRUE(session.Append(std::vector<int32_t>{17}, nullptr).ok());
  ASSERT_TRUE(fork.Append(std::vector<int32_t>{17}, nullptr).ok());
  EXPECT_EQ(fork.LastLogits().value(), session.LastLogits().value());
  TokenDecoder decoder = TokenDecoder::Create(engine->backend(), engine->model(), 1).value();
  ASSERT_TRUE(decoder.Append(copy, std::vector<int32_t>{17}, nullptr, nullptr).ok());
  const float* logits = decoder.logits().As<float>();
  EXPECT_EQ(std::vector<float>(logits, logits + engine->config().vocab_size),
            session.LastLogits().value());
}

TEST(KvOf8Bits, IsDecodedInBatches) {
  const auto engine = MakeRandomEngine({.device = "cpu", .kv_type = KvType::kInt8});
  std::vector<KvCache> caches;
  std::vector<float> expected;
  for (const int64_t length : {40, 75}) {
    const std::vector<int32_t> ids = RandomIds(length, length, engine->config().vocab_size);
    Session session(*engine);
    ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = "fastkv"}}).ok());
    caches.push_back(session.cache().Copy().value());
    ASSERT_TRUE(session.Append(std::vector<int32_t>{23}, nullptr).ok());
    const std::vector<float> logits = session.LastLogits().value();
    expected.insert(expected.end(), logits.begin(), logits.end());
  }
  BatchDecoder decoder = BatchDecoder::Create(engine->backend(), engine->model(), 2).value();
  const std::vector<BatchSequence> sequences = {{.cache = &caches[0]}, {.cache = &caches[1]}};
  ASSERT_TRUE(decoder.Step(sequences, std::vector<int32_t>{23, 23}, nullptr).ok());
  const float* logits = decoder.logits().As<float>();
  EXPECT_LT(LargestRelativeError({logits, logits + expected.size()}, expected), 1e-5);
}

TEST(KvOf8Bits, TakesAByteAnElementAndTwoScalesAnEntry) {
  const auto computed = MakeRandomEngine({.device = "cpu", .compute_type = ComputeType::kF32});
  const auto int8 = MakeRandomEngine(
      {.device = "cpu", .compute_type = ComputeType::kF32, .kv_type = KvType::kInt8});
  const std::vector<int32_t> ids = RandomIds(3, 100, int8->config().vocab_size);
  const TestRun expected = RunPrompt(*computed, ids, {.name = "full"}, 1);
  const TestRun actual = RunPrompt(*int8, ids, {.name = "full"}, 1);
  // 4 layers, 2 KV heads of 16 elements.
  EXPECT_EQ(expected.prefill.kv_bytes, 100 * 4 * 2 * (2 * 16 * 4 + 4));
  EXPECT_EQ(actual.prefill.kv_bytes, 100 * 4 * 2 * (2 * 16 + 2 * 4 + 4));
  EXPECT_EQ(actual.prefill.full_kv_bytes, expected.prefill.full_kv_bytes);
}

TEST(KvType, IsRefusedOnAGpuWithWhatToDo) {
  const auto backend = CreateBackend({.device = "cuda:0", .kv_type = KvType::kInt8});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(backend.status().message(), HasSubstr("--kv-dtype"));
  EXPECT_THAT(backend.status().message(), HasSubstr("--device cpu"));
}

TEST(KvType, MustOtherwiseBeWhatIsComputed) {
  for (const auto& [compute_type, kv_type, fits] :
       {std::tuple{ComputeType::kF32, KvType::kF32, true},
        std::tuple{ComputeType::kF32, KvType::kBF16, false},
        std::tuple{ComputeType::kBF16, KvType::kBF16, true},
        std::tuple{ComputeType::kBF16, KvType::kF32, false},
        std::tuple{ComputeType::kBF16, KvType::kInt8, true}}) {
    for (const std::string device : {"cpu", "reference"}) {
      const auto backend =
          CreateBackend({.device = device, .compute_type = compute_type, .kv_type = kv_type});
      EXPECT_EQ(backend.ok(), fits);
      if (backend.ok()) continue;
      EXPECT_EQ(backend.status().code(), StatusCode::kUnsupported);
      EXPECT_THAT(backend.status().message(),
                  HasSubstr(kv_type == KvType::kF32 ? "--dtype f32" : "--dtype bf16"));
    }
  }
}

}  // namespace
}  // namespace fastkv
