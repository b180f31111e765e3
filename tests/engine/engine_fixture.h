// What the engine's tests share: loading models, running prompts and comparing logits.
#ifndef FASTKV_TESTS_ENGINE_ENGINE_FIXTURE_H_
#define FASTKV_TESTS_ENGINE_ENGINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "engine/session.h"
#include "io/json.h"
#include "method/method.h"

namespace fastkv {

// Sanitizers slow the arithmetic down ten times and more; there the short prompts must do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
inline constexpr size_t kMaxPromptTokens = 500;
#else
inline constexpr bool kSanitized = false;
inline constexpr size_t kMaxPromptTokens = SIZE_MAX;
#endif

inline constexpr const char* kNeedleModel = "models/needle-16m";

inline Json ReadTestJson(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return Json::parse(text.str());
}

inline std::unique_ptr<Engine> LoadTestEngine(EngineOptions options) {
  Result<std::unique_ptr<Engine>> engine = Engine::Load(RealFileSystem(), options, nullptr);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return std::move(engine).value();
}

// What one run of a prompt shows.
struct TestRun {
  PrefillReport prefill;
  std::vector<float> last_logits;
  std::vector<int32_t> output_ids;
  std::vector<std::vector<std::vector<int32_t>>> kept;  // [layer][kv head], after prefill
  std::vector<int64_t> kv_len_after_decode;             // [layer], of the first KV head
};

inline TestRun RunPrompt(const Engine& engine, const std::vector<int32_t>& ids,
                         const MethodConfig& method, int64_t new_tokens,
                         const PrefillOptions& options = {}) {
  Session session(engine);
  const Status status = session.Prefill({.ids = ids, .method = method, .options = options});
  EXPECT_TRUE(status.ok()) << status.message();
  TestRun run;
  run.prefill = session.prefill_report();
  run.last_logits = session.LastLogits().value();
  for (int64_t i = 0; i < engine.config().num_layers; ++i) {
    run.kept.emplace_back();
    for (int64_t head = 0; head < engine.config().num_kv_heads; ++head) {
      run.kept.back().push_back(session.PositionsOf(i, head).value());
    }
  }
  const Result<DecodeReport> decode = session.Decode(
      {.max_new_tokens = new_tokens, .end_ids = EndIdsOf(engine.generation_config())});
  EXPECT_TRUE(decode.ok()) << decode.status().message();
  run.output_ids = decode->output_ids;
  for (int64_t i = 0; i < engine.config().num_layers; ++i) {
    run.kv_len_after_decode.push_back(session.cache().layer(i).FrozenLen(0) +
                                      session.cache().tail_len());
  }
  return run;
}

// Largest difference as a share of the largest expected magnitude.
inline double LargestRelativeError(const std::vector<float>& actual,
                                   const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double largest = 0;
  double difference = 0;
  for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    largest = std::max<double>(largest, std::fabs(expected[i]));
    difference = std::max<double>(difference, std::fabs(actual[i] - expected[i]));
  }
  return difference / largest;
}

}  // namespace fastkv

#endif  // FASTKV_TESTS_ENGINE_ENGINE_FIXTURE_H_
