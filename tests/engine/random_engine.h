// An engine of a few small layers with random weights, made in a moment.
#ifndef FASTKV_TESTS_ENGINE_RANDOM_ENGINE_H_
#define FASTKV_TESTS_ENGINE_RANDOM_ENGINE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "model/random_weights.h"

namespace fastkv {

inline ModelConfig RandomModelConfig() {
  ModelConfig config;
  config.num_layers = 4;
  config.hidden_size = 96;
  config.num_q_heads = 6;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.intermediate_size = 160;
  config.vocab_size = 509;
  config.max_position_embeddings = 512;
  config.sliding_window.assign(4, 0);
  return config;
}

// The same with rows of whole blocks in every stored type.
inline ModelConfig RandomBlockModelConfig() {
  ModelConfig config = RandomModelConfig();
  config.num_layers = 2;
  config.hidden_size = 256;
  config.num_q_heads = 4;
  config.head_dim = 64;
  config.intermediate_size = 512;
  config.vocab_size = 300;
  config.sliding_window.assign(2, 0);
  return config;
}

inline std::unique_ptr<Engine> MakeRandomEngine(const EngineOptions& options,
                                                const ModelConfig& config = RandomModelConfig(),
                                                StoredType type = StoredType::kBF16) {
  Result<std::unique_ptr<Engine>> engine = Engine::FromWeights(
      config,
      std::make_unique<RandomWeights>(/*seed=*/3, /*num_threads=*/1, SystemAllocator(), type),
      options, nullptr);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return std::move(engine).value();
}

inline std::vector<int32_t> RandomIds(uint64_t seed, int64_t count, int64_t vocab_size) {
  Random random(seed);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.NextInt(vocab_size));
  return ids;
}

}  // namespace fastkv

#endif  // FASTKV_TESTS_ENGINE_RANDOM_ENGINE_H_
