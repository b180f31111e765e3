// config.json and generation_config.json: what is accepted must hold to the limits that the program
// counts on.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "io/json.h"
#include "model/generation_config.h"
#include "model/model_config.h"
#include "model/rope_frequencies.h"

namespace {

void CheckConfig(const fastkv::ModelConfig& config) {
  FASTKV_CHECK_GT(config.num_kv_heads, 0);
  FASTKV_CHECK_EQ(config.num_q_heads % config.num_kv_heads, 0);
  FASTKV_CHECK_EQ(config.head_dim % 2, 0);
  FASTKV_CHECK_GT(config.head_dim, 0);
  FASTKV_CHECK_LE(config.head_dim, fastkv::limits::kMaxHeadDim);
  FASTKV_CHECK_EQ(config.sliding_window.size(), config.num_layers);
  for (const int64_t id : config.eos_token_ids) FASTKV_CHECK_LT(id, config.vocab_size);
  FASTKV_CHECK_GT(fastkv::ExpectedTensors(config).size(), 0);
  const fastkv::RopeFrequencies rope = fastkv::ComputeRopeFrequencies(config.rope, config.head_dim);
  FASTKV_CHECK(std::isfinite(rope.attention_factor));
  for (const float frequency : rope.inverse_frequencies) {
    FASTKV_CHECK(std::isfinite(frequency) && frequency >= 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = fastkv::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!json.ok()) return 0;
  const auto config = fastkv::ParseModelConfig(*json, "config.json");
  if (config.ok()) {
    CheckConfig(*config);
  } else {
    FASTKV_CHECK(config.status().message().find('\n') == std::string::npos);
  }
  fastkv::ModelConfig model;
  model.vocab_size = 512;
  const auto generation = fastkv::ParseGenerationConfig(*json, "generation_config.json", model);
  if (generation.ok()) {
    FASTKV_CHECK(std::isfinite(generation->temperature));
    for (const int64_t id : generation->eos_token_ids) FASTKV_CHECK_LT(id, model.vocab_size);
  }
  return 0;
}
