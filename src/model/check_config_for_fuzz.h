// What every accepted model configuration must hold to, whatever file it came from.
#ifndef FASTKV_MODEL_CHECK_CONFIG_FOR_FUZZ_H_
#define FASTKV_MODEL_CHECK_CONFIG_FOR_FUZZ_H_

#include <cmath>

#include "base/check.h"
#include "base/limits.h"
#include "model/model_config.h"
#include "model/rope_frequencies.h"

namespace fastkv {

inline void CheckConfig(const ModelConfig& config) {
  FASTKV_CHECK_GT(config.num_kv_heads, 0);
  FASTKV_CHECK_EQ(config.num_q_heads % config.num_kv_heads, 0);
  FASTKV_CHECK_EQ(config.head_dim % 2, 0);
  FASTKV_CHECK_GT(config.head_dim, 0);
  FASTKV_CHECK_LE(config.head_dim, limits::kMaxHeadDim);
  FASTKV_CHECK_EQ(config.sliding_window.size(), config.num_layers);
  for (const int64_t id : config.eos_token_ids) FASTKV_CHECK_LT(id, config.vocab_size);
  FASTKV_CHECK_GT(ExpectedTensors(config).size(), 0);
  const RopeFrequencies rope = ComputeRopeFrequencies(config.rope, config.head_dim);
  FASTKV_CHECK(std::isfinite(rope.attention_factor));
  for (const float frequency : rope.inverse_frequencies) {
    FASTKV_CHECK(std::isfinite(frequency) && frequency >= 0);
  }
}

}  // namespace fastkv

#endif  // FASTKV_MODEL_CHECK_CONFIG_FOR_FUZZ_H_
